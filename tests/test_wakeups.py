"""No wake-up is lost: a poller in this process, whose calls can be watched, on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from poller import loop
from poller.config import Settings
from poller.db import Database, Listener
from poller.http import open_session
from poller.inspector import Inspector
from poller.loop import Poller
from poller.pipeline import Pipeline
from poller.records import Job
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from poller.storage import Storage
from poller.whatsapp import WhatsApp
from tests.helpers import eventually, is_stored, queue_media

NEVER = 3600.0
Listen = Callable[[Callable[[], None]], Awaitable[Listener]]


class SlowDatabase(Database):
    """Looks for work at once, and answers later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.looked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def claim(self, limit: int) -> list[Job]:
        jobs = await super().claim(limit)
        self.looked.set()
        await self.may_answer.wait()
        return jobs


class HeldRecords(Database):
    """Knows how many attachments are in hand, and records none before it may."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.may_record = asyncio.Event()
        self.recording = self.in_hand = self.most_in_hand = 0

    async def claim(self, limit: int) -> list[Job]:
        jobs = await super().claim(limit)
        self.in_hand += len(jobs)
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        return jobs

    async def finish_upload(
        self, job: Job, content_hash: str, object_id: UUID, timings: dict[str, int]
    ) -> int:
        self.recording += 1
        await self.may_record.wait()
        waited = await super().finish_upload(job, content_hash, object_id, timings)
        self.in_hand -= 1
        return waited


class DeafListener(Listener):
    """After its first probe it hears nothing any more, though its connection lives on."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        super().__init__(connection)
        self._own = connection

    async def works(self) -> bool:
        worked = await super().works()
        await self._own.execute("unlisten *")
        return worked


@asynccontextmanager
async def running(
    settings: Settings, whatsapp: WhatsAppApi, database: Database, listen: Listen,
    poll_seconds: float = NEVER,
) -> AsyncGenerator[None]:  # fmt: skip
    """A poller that, while poll_seconds are never over, looks once and then when it is woken."""
    assert settings.supabase_url
    assert settings.supabase_service_key
    assert settings.whatsapp_token
    async with (
        open_session({"127.0.0.1"}, 5, 8) as session,
        Inspector(children=1, seconds=20, memory_bytes=1 << 30) as inspector,
    ):
        poller = Poller(
            Pipeline(
                database=database,
                whatsapp=WhatsApp(session, whatsapp.url, settings.whatsapp_token, None, 5),
                storage=Storage(session, settings.supabase_url, settings.supabase_service_key, 5),
                inspector=inspector,
                encoder=inspector,
                spool_memory_bytes=100_000,
                spool_folder=None,
            ),
            listen=listen,
            concurrency=2,
            poll_seconds=poll_seconds,
            grace_seconds=5,
            project_url=settings.supabase_url,
        )
        run = asyncio.create_task(poller.run())
        try:
            yield
        finally:
            poller.stop()
            await run
            await database.close()


async def test_a_wake_up_during_a_claim_is_not_lost(
    db: Any, whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A claim found nothing; before the poller has the answer, it is told of new work."""
    del buckets, storage
    monkeypatch.setattr(loop, "POLL_SOON_SECONDS", ())
    dsn = settings.database_url.get_secret_value()
    database = await SlowDatabase.connect(dsn, "woken", 4)
    listening, told = asyncio.Event(), asyncio.Event()

    async def listen(heard: Callable[[], None]) -> Listener:
        def tell() -> None:
            heard()
            told.set()

        listener = await Listener.open(dsn, "woken", tell)
        listening.set()
        return listener

    async with running(settings, whatsapp, database, listen):
        await listening.wait()
        await database.looked.wait()
        media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))
        await told.wait()
        database.may_answer.set()

        await is_stored(db, media)


async def test_while_files_are_recorded_as_many_others_take_their_slots(
    db: Any, whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None
) -> None:
    """Of two slots. When recording stands still, no more than two others are taken on."""
    del buckets, storage
    dsn = settings.database_url.get_secret_value()
    database = await HeldRecords.connect(dsn, "recording", 4)

    async def listen(heard: Callable[[], None]) -> Listener:
        return await Listener.open(dsn, "recording", heard)

    samples = [sample for sample in SAMPLES if sample.media_type == "image"][:6]
    media = [
        await queue_media(db, whatsapp.add_media(one.read(), one.mime_type)) for one in samples
    ]
    async with running(settings, whatsapp, database, listen, poll_seconds=0.02):
        await eventually(lambda: database.recording == 4)
        await database.ping()
        database.may_record.set()
        for one in media:
            await is_stored(db, one)

    assert database.most_in_hand == 4


async def test_a_listener_that_lives_and_hears_nothing_is_replaced(
    db: Any, whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    del buckets, storage
    monkeypatch.setattr(loop, "POLL_SOON_SECONDS", ())
    monkeypatch.setattr(loop, "PROBE_SECONDS", 0.05)
    dsn = settings.database_url.get_secret_value()
    database = await Database.connect(dsn, "deaf", 4)
    opened: list[Listener] = []
    replaced = asyncio.Event()

    async def listen(heard: Callable[[], None]) -> Listener:
        kind = Listener if opened else DeafListener
        if opened:
            replaced.set()
        opened.append(await kind.open(dsn, "deaf", heard))
        return opened[-1]

    async with running(settings, whatsapp, database, listen, poll_seconds=0.05):
        async with asyncio.timeout(30):
            await replaced.wait()
        media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))

        await is_stored(db, media)


async def test_what_was_queued_while_it_heard_nothing_is_not_missed(
    db: Any, whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    del buckets, storage
    monkeypatch.setattr(loop, "POLL_SOON_SECONDS", ())
    monkeypatch.setattr(loop, "PROBE_SECONDS", 0.05)
    dsn = settings.database_url.get_secret_value()
    database = await Database.connect(dsn, "deaf", 4)
    deaf, queued = asyncio.Event(), asyncio.Event()

    class ProbedLate(DeafListener):
        async def works(self) -> bool:
            if deaf.is_set():
                await queued.wait()
            worked = await super().works()
            deaf.set()
            return worked

    async def listen(heard: Callable[[], None]) -> Listener:
        return await ProbedLate.open(dsn, "deaf", heard)

    async with running(settings, whatsapp, database, listen):
        async with asyncio.timeout(30):
            await deaf.wait()
        media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))
        queued.set()

        await is_stored(db, media)


async def test_what_was_queued_before_it_listened_is_not_missed(
    db: Any, whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    del buckets, storage
    monkeypatch.setattr(loop, "POLL_SOON_SECONDS", ())
    dsn = settings.database_url.get_secret_value()
    database = await SlowDatabase.connect(dsn, "late", 4)
    media = asyncio.get_running_loop().create_future()

    async def listen(heard: Callable[[], None]) -> Listener:
        await database.looked.wait()
        database.may_answer.set()
        media.set_result(await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg")))
        return await Listener.open(dsn, "late", heard)

    async with running(settings, whatsapp, database, listen):
        await is_stored(db, await media)


async def test_a_poller_that_cannot_listen_tries_again(
    whatsapp: WhatsAppApi, settings: Settings, storage: StorageApi, buckets: None
) -> None:
    del buckets, storage
    dsn = settings.database_url.get_secret_value()
    database = await Database.connect(dsn, "late", 4)
    refusals = [asyncpg.TooManyConnectionsError("too many clients"), ConnectionRefusedError()]
    listening = asyncio.Event()

    async def listen(heard: Callable[[], None]) -> Listener:
        if refusals:
            raise refusals.pop()
        listener = await Listener.open(dsn, "late", heard)
        listening.set()
        return listener

    async with running(settings, whatsapp, database, listen, poll_seconds=0.05):
        async with asyncio.timeout(30):
            await listening.wait()
