"""PgQueuer as its guide to performance shows it: asyncpg, tuned autovacuum, durable tables.

On uvloop, as its own command is where that is installed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.handwritten import FILES, INSERT
from bench.queues.contender import NewLoop, Started

WORKERS = 5


class PgQueuerQueue:
    """`recording`: each job inserts a row, as a task that stores a file would."""

    def __init__(self, batch_size: int, *, recording: bool = False) -> None:
        self.name = f"PgQueuer, batches of {batch_size}"
        if recording:
            self.name += ", a row a job"
        self.share = 1.0
        self.new_loop: NewLoop | None = uvloop.new_event_loop
        self._batch_size = batch_size
        self._recording = recording

    async def open(self, dsn: str, clients: int) -> None:
        self._dsn = dsn
        self._clients = [await self._connect() for _ in range(clients)]
        await self._clients[0].install()
        await self._clients[0].optimize_autovacuum()
        self._pool: Any = await asyncpg.create_pool(self._dsn, min_size=8, max_size=8)
        await self._pool.execute(FILES)

    async def prepare(self, references: Sequence[str]) -> None:
        """Nothing need be there."""

    async def enqueue(self, client: int, reference: str) -> None:
        await self._clients[client].enqueue("fetch", reference.encode())

    async def enqueue_all(self, references: Sequence[str]) -> None:
        count = len(references)
        payloads: list[bytes | None] = [one.encode() for one in references]
        await self._clients[0].enqueue(["fetch"] * count, payloads, [0] * count)

    @asynccontextmanager
    async def working(self, started: Started) -> AsyncGenerator[None]:
        workers = [PgQueuer((await self._connect()).driver) for _ in range(WORKERS)]
        for worker in workers:

            @worker.entrypoint("fetch")
            async def fetch(job: Job) -> None:
                assert job.payload is not None
                name = job.payload.decode()
                started(name)
                if self._recording:
                    content_hash = hashlib.sha256(job.payload).hexdigest()
                    await self._pool.fetchval(INSERT, name, content_hash, 1000, name)

        running = [
            asyncio.create_task(
                worker.run(batch_size=self._batch_size, dequeue_timeout=timedelta(seconds=5))
            )
            for worker in workers
        ]
        try:
            yield
        finally:
            for worker in workers:
                worker.shutdown.set()
            await asyncio.gather(*running)

    async def close(self) -> None:
        await self._pool.close()
        for client in self._clients:
            await client.driver.__aexit__(None, None, None)

    async def _connect(self) -> Queries:
        return Queries(AsyncpgDriver(await asyncpg.connect(self._dsn)))
