"""What every queue is asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Started = Callable[[str], None]
"""Told the reference of a job when a worker starts on it."""


class Contender(Protocol):
    """A queue on a database of its own. A job's reference is a text it comes back with."""

    name: str
    share: float
    """Of the jobs that the others are given: less for what takes very long."""
    new_loop: NewLoop | None
    """The event loop that its own command runs on; None for asyncio's."""

    async def open(self, dsn: str, clients: int) -> None:
        """Bring the schema, and open one connection a client."""
        ...

    async def prepare(self, references: Sequence[str]) -> None:
        """What must be there before jobs can be queued, and is not a part of queueing them."""
        ...

    async def enqueue(self, client: int, reference: str) -> None:
        """Queue one job in a transaction of its own."""
        ...

    async def enqueue_all(self, references: Sequence[str]) -> None:
        """Queue many jobs at once."""
        ...

    def working(self, started: Started) -> AbstractAsyncContextManager[None]:
        """Workers that do nothing with a job but end it well."""
        ...

    async def close(self) -> None: ...
