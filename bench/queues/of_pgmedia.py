"""pgmedia: attachments that nobody fetches, with all that the database does for a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

import asyncpg
import uvloop
from pydantic import SecretStr

from bench.queues.contender import NewLoop, Started
from bench.queues.measuring import Watch
from poller.attempt import Outcome
from poller.db import Database, Listener
from poller.loop import Poller
from poller.migrate import migrate
from poller.pipeline import Pipeline
from poller.records import Job

NUMBERS = 20
"""Phone numbers: of each, no more than 20 attachments are worked on at once."""
CONNECTIONS = 8
CONCURRENCY = 128

QUEUE = "select queue_media_processing($1, $2, 'image', 'image/jpeg')"
QUEUE_ALL = """
select queue_media_attachments(jsonb_agg(jsonb_build_object(
    'message_id', b.message_id, 'whatsapp_media_id', b.media_id,
    'media_type', 'image', 'mime_type', 'image/jpeg')))
from unnest($1::uuid[], $2::text[]) b (message_id, media_id)
"""
MESSAGES = """
insert into messages (whatsapp_message_id, phone_number_id, sent_at)
select r.reference, (r.number % $2)::text, now()
from unnest($1::text[]) with ordinality r (reference, number)
returning id, whatsapp_message_id
"""
STORED = 100
"""Files that are stored already, for jobs whose content is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBytes(Pipeline):
    """Asks for the verdicts of an image, and records it as stored if it is new."""

    started: Started
    hash_of: Callable[[str], str]
    """The SHA-256 that WhatsApp tells of a media id."""

    async def process(self, job: Job, stored: Callable[[], None] = lambda: None) -> Outcome:
        self.started(job.whatsapp_media_id)
        content_hash = self.hash_of(job.whatsapp_media_id)
        asked = await self.database.describe(job, "image/jpeg", 1000, content_hash)
        if asked.verdict != "download":
            return Outcome(asked.verdict, asked.reason)
        place = await self.database.begin_upload(
            job, content_hash, 1000, {"mime_type": "image/jpeg"}
        )
        assert place.object_id is not None
        self.recording.add(job)
        stored()
        try:
            await self.database.finish_upload(job, content_hash, place.object_id, {})
        finally:
            self.recording.discard(job)
        return Outcome("stored")


def hash_of_new(reference: str) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()


def hash_of_known(reference: str) -> str:
    """One of a few, by the number that a reference ends with."""
    return hash_of_new(str(int(reference.rpartition("-")[2]) % STORED))


def ignore(_reference: str) -> None:
    pass


@asynccontextmanager
async def polling(
    dsn: str, name: str, concurrency: int, started: Started = ignore,
    hash_of: Callable[[str], str] = hash_of_new,
) -> AsyncGenerator[None]:  # fmt: skip
    """The real poller, with all that the database does for a file, and no file."""
    database = await Database.connect(dsn, name, min(CONNECTIONS, concurrency + 1))
    absent = cast("Any", None)
    poller = Poller(
        NoBytes(
            database, absent, absent, absent, absent, 0, None, started=started, hash_of=hash_of
        ),
        listen=lambda heard: Listener.open(dsn, name, heard),
        concurrency=concurrency, poll_seconds=1, grace_seconds=10, project_url=None,
    )  # fmt: skip
    running = asyncio.create_task(poller.run())
    try:
        yield
    finally:
        poller.stop()
        await running
        await database.close()


class PgmediaQueue:
    """All that the database does for a file, with no file. Messages are there before."""

    def __init__(self, content: Literal["new", "known"]) -> None:
        self.name = f"pgmedia, {content} content"
        self.share = 1.0
        self.new_loop: NewLoop | None = uvloop.new_event_loop  # as `pgmedia poll`
        self._content = content
        self._messages: dict[str, UUID] = {}

    async def open(self, dsn: str, clients: int) -> None:
        self._dsn = dsn
        await asyncio.to_thread(migrate, SecretStr(dsn))
        self._clients = [await asyncpg.connect(dsn) for _ in range(clients)]
        if self._content == "known":
            watch = Watch()
            names = [f"stored-{number}" for number in range(STORED)]
            await self.prepare(names)
            await self.enqueue_all(names)
            async with self.working(watch):
                await watch.wait(STORED)

    async def prepare(self, references: Sequence[str]) -> None:
        rows = await self._clients[0].fetch(MESSAGES, list(references), NUMBERS)
        self._messages.update({row["whatsapp_message_id"]: row["id"] for row in rows})

    async def enqueue(self, client: int, reference: str) -> None:
        await self._clients[client].execute(QUEUE, self._messages[reference], reference)

    async def enqueue_all(self, references: Sequence[str]) -> None:
        messages = [self._messages[one] for one in references]
        await self._clients[0].execute(QUEUE_ALL, messages, list(references))

    def working(self, started: Started) -> AbstractAsyncContextManager[None]:
        hash_of = hash_of_new if self._content == "new" else hash_of_known
        return polling(self._dsn, "bench", CONCURRENCY, started, hash_of)

    async def close(self) -> None:
        for connection in self._clients:
            await connection.close()
