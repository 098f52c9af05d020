"""Procrastinate with an asynchronous worker that runs many jobs at once and deletes done ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector
from procrastinate.types import JSONDict

from bench.queues.contender import NewLoop, Started

CONCURRENCY = 20


class ProcrastinateQueue:
    def __init__(self) -> None:
        self.name = f"Procrastinate, {CONCURRENCY} jobs at once"
        self.share = 0.25
        self.new_loop: NewLoop | None = None  # as its own command

    async def open(self, dsn: str, clients: int) -> None:  # noqa: ARG002 - it has a pool
        self._app = App(
            connector=PsycopgConnector(conninfo=dsn, min_size=CONCURRENCY, max_size=CONCURRENCY + 5)
        )

        @self._app.task(name="fetch")
        async def fetch(reference: str) -> None:
            self._started(reference)

        self._fetch = fetch
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()

    async def prepare(self, references: Sequence[str]) -> None:
        """Nothing need be there."""

    async def enqueue(self, client: int, reference: str) -> None:  # noqa: ARG002
        await self._fetch.defer_async(reference=reference)

    async def enqueue_all(self, references: Sequence[str]) -> None:
        jobs: list[JSONDict] = [{"reference": one} for one in references]
        await self._fetch.batch_defer_async(*jobs)

    @asynccontextmanager
    async def working(self, started: Started) -> AsyncGenerator[None]:
        self._started = started
        running = asyncio.create_task(
            self._app.run_worker_async(
                concurrency=CONCURRENCY, delete_jobs="successful", install_signal_handlers=False
            )
        )
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        await self._app.close_async()
