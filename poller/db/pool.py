"""A pool of connections, and what can come of a call."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import asyncpg

WRONG_PROJECT = "MD061"
CLOSE_SECONDS = 2.0
"""How long connections may take to end what they are at when the pool is closed."""

# What passes by itself: a lost or refused connection above all. The call may be repeated.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that is cut at the wrong moment
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InsufficientResourcesError,  # a full disk, too many connections
    asyncpg.InternalServerError,
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,  # a time limit, a shutdown
    asyncpg.SerializationError,
)


class DatabaseError(Exception):
    """A call was not carried out and may be repeated: the database is away, or was at fault."""


class WrongProjectError(Exception):
    """The files of this database are in another Supabase project. Its message is for operators."""


class Pool:
    """Connections for one poller, the last one kept for heartbeats and renewals.

    Were all held up by somebody's lock, the leases of jobs that need no such row would end, too.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], poller: str) -> None:
        self._pool = pool
        self._others = asyncio.Semaphore(max(1, pool.get_max_size() - 1))
        self.poller = poller

    @classmethod
    async def connect(
        cls, dsn: str, poller: str, connections: int = 8, *,
        own_session: bool = True, connect_now: bool = True,
    ) -> Self:  # fmt: skip
        """Open the pool. Raises one of DATABASE_AWAY, or asyncpg's errors for a refused login.

        `own_session`: statements may be prepared; not so behind a transaction pooler. Without
        `connect_now` nothing is raised here: the first calls connect.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=int(connect_now),
            max_size=connections,
            timeout=10,
            command_timeout=60,
            statement_cache_size=100 if own_session else 0,
            reset=lambda _: asyncio.sleep(0),  # a round trip saved: no call changes its session
            server_settings={"application_name": f"pgmedia {poller}"},
        )
        return cls(pool, poller)

    async def close(self) -> None:
        """Close the pool; at once if that takes long, as with a database that is away."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except DATABASE_AWAY:
            self._pool.terminate()

    async def ping(self) -> None:
        """Raises one of DATABASE_AWAY, or another error of asyncpg's.

        As for one that only reads, such as a standby, or a database whose disk is full.
        """
        ((only_reads,),) = await self._fetch("select current_setting('transaction_read_only')")
        if only_reads == "on":
            await self._pool.expire_connections()  # others may lead to a server that writes
            raise asyncpg.ReadOnlySQLTransactionError("it takes no writes")

    async def _rows(
        self, call: str, *arguments: object, wait: float | None = None
    ) -> list[asyncpg.Record]:
        async with asyncio.timeout(wait):
            await self._others.acquire()
        try:
            return await self._fetch(call, *arguments, wait=wait)
        finally:
            self._others.release()

    async def _fetch(
        self, call: str, *arguments: object, wait: float | None = None
    ) -> list[asyncpg.Record]:
        try:
            async with self._pool.acquire(timeout=wait) as connection:
                return await connection.fetch(call, *arguments)
        except asyncpg.ReadOnlySQLTransactionError:
            # after a failover the open connections lead to the server that only reads
            await self._pool.expire_connections()
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate == WRONG_PROJECT:
                raise WrongProjectError(f"{error.args[0]}. {error.hint}") from None
            raise

    async def _value(self, call: str, *arguments: object, wait: float | None = None) -> Any:
        return (await self._rows(call, *arguments, wait=wait))[0][0]

    async def _tried(self, call: str, *arguments: object, dry_run: bool) -> Any:
        """The value of a call; with `dry_run` what it did is taken back at once."""
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            keep = False
            try:
                answer: Any = await connection.fetchval(call, *arguments)
                keep = not dry_run
            finally:
                await (transaction.commit() if keep else transaction.rollback())
        return answer
