"""pgmedia: attachments that nobody fetches, with all that the database does for a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from bench.queues.contender import Started
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
select queue_media_processing(b.message_id, b.media_id, 'image', 'image/jpeg')
from unnest($1::uuid[], $2::text[]) b (message_id, media_id)
"""
MESSAGES = """
insert into messages (whatsapp_message_id, phone_number_id, sent_at)
select r.reference, (r.number % $2)::text, now()
from unnest($1::text[]) with ordinality r (reference, number)
returning id, whatsapp_message_id
"""
QUIET = """
create or replace function public.wake_media_pollers() returns void
language sql set search_path = '' as ''
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWork(Pipeline):
    """Asks for the verdicts of an image nobody has seen before, and records it as stored."""

    started: Started

    async def process(self, job: Job) -> str:
        self.started(job.whatsapp_media_id)
        content_hash = hashlib.sha256(job.whatsapp_media_id.encode()).hexdigest()
        await self.database.describe(job, "image/jpeg", 1000, content_hash)
        place = await self.database.begin_upload(
            job, content_hash, 1000, {"mime_type": "image/jpeg"}
        )
        assert place.object_id is not None
        await self.database.finish_upload(job, place.object_id, {})
        return "stored"


class PgmediaQueue:
    """All that the database does for a file, with no file. Messages are there before."""

    def __init__(self, *, notify: bool = True) -> None:
        self.name = "pgmedia" if notify else "pgmedia without NOTIFY"
        self._notify = notify
        self._messages: dict[str, UUID] = {}

    async def open(self, dsn: str, clients: int) -> None:
        self._dsn = dsn
        await asyncio.to_thread(migrate, SecretStr(dsn))
        self._clients = [await asyncpg.connect(dsn) for _ in range(clients)]
        if not self._notify:
            await self._clients[0].execute(QUIET)

    async def prepare(self, references: Sequence[str]) -> None:
        rows = await self._clients[0].fetch(MESSAGES, list(references), NUMBERS)
        self._messages.update({row["whatsapp_message_id"]: row["id"] for row in rows})

    async def enqueue(self, client: int, reference: str) -> None:
        await self._clients[client].execute(QUEUE, self._messages[reference], reference)

    async def enqueue_all(self, references: Sequence[str]) -> None:
        messages = [self._messages[one] for one in references]
        await self._clients[0].execute(QUEUE_ALL, messages, list(references))

    @asynccontextmanager
    async def working(self, started: Started) -> AsyncGenerator[None]:
        database = await Database.connect(self._dsn, "bench", CONNECTIONS)
        absent = cast("Any", None)
        poller = Poller(
            NoWork(database, absent, absent, absent, 0, None, started=started),
            listen=lambda heard: Listener.open(self._dsn, "bench", heard),
            concurrency=CONCURRENCY, poll_seconds=1, grace_seconds=10,
            project_url=None,
        )  # fmt: skip
        running = asyncio.create_task(poller.run())
        try:
            yield
        finally:
            poller.stop()
            await running
            await database.close()

    async def close(self) -> None:
        for connection in self._clients:
            await connection.close()
