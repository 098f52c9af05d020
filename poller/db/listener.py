"""Hearing of new work: LISTEN on a connection of its own, where a connection keeps its session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

import asyncpg

LISTEN_SECONDS = 2.0
"""How long a notification may take before LISTEN counts as not working."""


async def has_own_session(dsn: str) -> bool:
    """Does a connection keep its session, so that LISTEN works? Behind a transaction pooler not.

    Tried for real: one connection listens, another notifies.
    """
    listening, notifying = [
        await asyncpg.connect(dsn, timeout=10, command_timeout=10, statement_cache_size=0)
        for _ in range(2)
    ]
    heard = asyncio.Event()

    def on_notification(*_: object) -> None:
        heard.set()

    try:
        await listening.add_listener("pgmedia_wake", on_notification)
        await notifying.execute("notify pgmedia_wake")
        async with asyncio.timeout(LISTEN_SECONDS):
            await heard.wait()
    except TimeoutError:
        return False
    else:
        return True
    finally:
        listening.terminate()
        notifying.terminate()


class Listener:
    """A connection of its own that hears the queue."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, dsn: str, poller: str, heard: Callable[[], None]) -> Self:
        """Connect and LISTEN; `heard()` is called on every notification and when the link ends."""
        connection = await asyncpg.connect(
            dsn, timeout=10, command_timeout=10, statement_cache_size=0,
            server_settings={"application_name": f"pgmedia {poller} listener"},
        )  # fmt: skip

        def on_event(*_: object) -> None:
            heard()

        connection.add_termination_listener(on_event)
        await connection.add_listener("pgmedia_wake", on_event)
        return cls(connection)

    async def works(self) -> bool:
        """Is this session still listening?"""
        return bool(
            await self._connection.fetchval(
                "select 'pgmedia_wake' in (select pg_listening_channels())"
            )
        )

    def close(self) -> None:
        self._connection.terminate()
