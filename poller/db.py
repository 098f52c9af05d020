"""Every SQL call pgmedia's poller makes: one method per database function, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self
from uuid import UUID

import asyncpg

from poller import __version__
from poller.records import (
    BucketPolicy,
    Deletion,
    Failure,
    FailureVerdict,
    Job,
    SourceVerdict,
    UploadVerdict,
)

LEASE_LOST = "MD001"
LISTEN_SECONDS = 2.0
"""How long a notification may take before LISTEN counts as not working."""
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
    asyncpg.SerializationError,
)

# What Postgres says of a text that is not JSON, not even text, or nested deeper than it reads.
NOT_JSON = (
    asyncpg.InvalidTextRepresentationError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.StatementTooComplexError,
)


class DatabaseError(Exception):
    """A call was not carried out and may be repeated: the database is away, or was at fault."""


class NotJsonError(Exception):
    """The body of a webhook call is not JSON."""


class LeaseLostError(Exception):
    """Another poller has taken the job over, or it is done: drop the result."""


class Database:
    """A pool of connections for one poller, the last one kept for heartbeats and renewals.

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

    async def claim(self, limit: int) -> list[Job]:
        rows = await self._rows("select * from public.claim_media_jobs($1, $2)", self.poller, limit)
        return [Job(**row) for row in rows]

    async def renew(self, jobs: Sequence[Job]) -> set[UUID]:
        """Renew leases; the ids still held come back."""
        rows = await self._fetch(
            "select public.renew_media_leases($1, $2, $3)", self.poller, *_keys(jobs)
        )
        return {row[0] for row in rows}

    async def release(self, jobs: Sequence[Job]) -> None:
        await self._rows("select public.release_media_jobs($1, $2, $3)", self.poller, *_keys(jobs))

    async def describe(
        self, job: Job, mime_type: str | None, file_size: int | None, sha256: str | None
    ) -> SourceVerdict:
        row = await self._fenced(
            "select * from public.describe_media_source($1, $2, $3, $4, $5, $6)",
            job, mime_type, file_size, sha256,
        )  # fmt: skip
        return SourceVerdict(**row)

    async def begin_upload(
        self, job: Job, content_hash: str, file_size: int, mime_type: str
    ) -> UploadVerdict:
        row = await self._fenced(
            "select * from public.begin_media_upload($1, $2, $3, $4, $5, $6)",
            job, content_hash, file_size, mime_type,
        )  # fmt: skip
        return UploadVerdict(**row)

    async def finish_upload(self, job: Job, object_id: UUID, timings: dict[str, int]) -> int:
        """Record an upload; returns how many attachments waited for it."""
        row = await self._fenced(
            "select public.finish_media_upload($1, $2, $3, $4, $5)",
            job, object_id, json.dumps(timings),
        )  # fmt: skip
        return row[0]

    async def fail(self, job: Job, failure: Failure) -> FailureVerdict:
        row = await self._fenced(
            "select verdict, failure_code"
            " from public.fail_media_job($1, $2, $3, $4, $5, $6, $7, $8)",
            job, failure.source, failure.provider_code, failure.http_status,
            failure.retry_after, failure.text,
        )  # fmt: skip
        return FailureVerdict(**row)

    async def note_late_failure(self, job: Job, failure: Failure) -> None:
        """Tell what was refused as a report, as the lease was lost: it may count all the same."""
        call = "select public.note_late_failure($1, $2, $3)"
        await self._value(call, failure.source, job.phone_number_id, failure.http_status)

    async def discard_upload(self, bucket_name: str, storage_path: str) -> None:
        await self._value("select public.discard_media_upload($1, $2)", bucket_name, storage_path)

    async def heartbeat(self, mode: Literal["listen", "poll"], in_flight: int) -> float:
        """Show that this poller is alive; returns the lease in seconds."""
        call = "select public.heartbeat_media_poller($1, $2, $3, $4)"
        return (await self._fetch(call, self.poller, __version__, mode, in_flight))[0][0]

    async def leave(self) -> None:
        await self._value("select public.leave_media_poller($1)", self.poller)

    async def bucket_policy(self) -> list[BucketPolicy]:
        rows = await self._rows("select * from public.get_media_bucket_policy()")
        return [BucketPolicy(**row) for row in rows]

    async def set_project_url(self, project_url: str) -> None:
        await self._value("select public.set_media_project_url($1)", project_url)

    async def claim_deletions(self, limit: int) -> list[Deletion]:
        rows = await self._rows(
            "select * from public.claim_media_deletions($1, $2)", self.poller, limit
        )
        return [Deletion(**row) for row in rows]

    async def finish_deletions(self, deletions: Sequence[Deletion]) -> None:
        await self._value(
            "select public.finish_media_deletions($1, $2, $3)", self.poller, *_keys(deletions)
        )

    async def fail_deletions(self, deletions: Sequence[Deletion], failure: Failure) -> str:
        """Report files that were not removed; returns the failure code."""
        return await self._value(
            "select public.fail_media_deletions($1, $2, $3, $4, $5, $6, $7)",
            self.poller, *_keys(deletions), failure.provider_code, failure.http_status,
            failure.retry_after, failure.text,
        )  # fmt: skip

    async def receive_webhook(self, body: bytes) -> str:
        """Store a webhook call; returns the summary, as JSON. Raises NotJsonError, DatabaseError.

        Postgres alone decides what is JSON, so a body is parsed once.
        """
        try:
            try:
                return await self._value(
                    "select public.receive_whatsapp_webhook($1)", body.decode()
                )
            except (*NOT_JSON, UnicodeDecodeError) as error:
                await self._value("select public.count_webhook_refusal('not_json')")
                raise NotJsonError(str(error)) from None
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise DatabaseError(f"{type(error).__name__}: {error}") from error

    async def _fenced(self, call: str, job: Job, *arguments: object) -> asyncpg.Record:
        try:
            (row,) = await self._rows(call, job.id, self.poller, job.fencing_token, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == LEASE_LOST:
                raise LeaseLostError(str(error)) from None
            raise
        return row

    async def _rows(self, call: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._others:
            return await self._fetch(call, *arguments)

    async def _fetch(self, call: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(call, *arguments)
        except asyncpg.ReadOnlySQLTransactionError:
            # after a failover the open connections lead to the server that only reads
            await self._pool.expire_connections()
            raise

    async def _value(self, call: str, *arguments: object) -> Any:
        return (await self._rows(call, *arguments))[0][0]


def _keys(held: Sequence[Job] | Sequence[Deletion]) -> tuple[list[UUID], list[int]]:
    return [one.id for one in held], [one.fencing_token for one in held]


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
