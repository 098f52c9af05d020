"""PgQueuer as its guide to performance shows it: asyncpg, tuned autovacuum, durable tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.queues.contender import Started

WORKERS = 5


class PgQueuerQueue:
    def __init__(self, batch_size: int) -> None:
        self.name = f"PgQueuer, {WORKERS} workers, batches of {batch_size}"
        self._batch_size = batch_size

    async def open(self, dsn: str, clients: int) -> None:
        self._dsn = dsn
        self._clients = [await self._connect() for _ in range(clients)]
        await self._clients[0].install()
        await self._clients[0].optimize_autovacuum()

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
                started(job.payload.decode())

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
        for client in self._clients:
            await client.driver.__aexit__(None, None, None)

    async def _connect(self) -> Queries:
        return Queries(AsyncpgDriver(await asyncpg.connect(self._dsn)))
