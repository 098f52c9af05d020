"""Every SQL call pgmedia's poller makes: one method per database function, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

import asyncpg

from poller import __version__
from poller.records import (
    BucketPolicy,
    Deletion,
    Difference,
    Failure,
    FailureVerdict,
    Fix,
    Job,
    ReconcileRun,
    SourceVerdict,
    StoredFile,
    UploadVerdict,
    UrlPolicy,
)

LEASE_LOST = "MD001"
WEBHOOK_WAIT_SECONDS = 3.0
"""How long a webhook call may wait for a connection: as long as it then may for a lock."""
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

# What Postgres says of a text that is not JSON, or not even text.
NOT_JSON = (asyncpg.InvalidTextRepresentationError, asyncpg.CharacterNotInRepertoireError)


class DatabaseError(Exception):
    """A call was not carried out and may be repeated: the database is away, or was at fault."""


class UnreadableError(Exception):
    """The body of a webhook call is not JSON (`not_json`), or nested past Postgres (`too_deep`)."""


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

    async def maintain(self) -> None:
        """Keep house, unless that was done within the last minute or is being done."""
        await self._value("select public.run_media_maintenance(unless_within => '50 seconds')")

    async def leave(self) -> None:
        await self._value("select public.leave_media_poller($1)", self.poller)

    async def bucket_policy(self) -> list[BucketPolicy]:
        rows = await self._rows("select * from public.get_media_bucket_policy()")
        return [BucketPolicy(**row) for row in rows]

    async def set_project_url(self, project_url: str) -> None:
        await self._value("select public.set_media_project_url($1)", project_url)

    async def project_url(self) -> str | None:
        return await self._value("select public.get_media_project_url()")

    async def url_policy(
        self, media_id: UUID, expires_in: timedelta | None, download: bool
    ) -> UrlPolicy:
        """How to hand out a stored file; see the function for its errors."""
        (row,) = await self._rows(
            "select * from public.get_media_url_policy($1, $2, $3)", media_id, expires_in, download
        )
        return UrlPolicy(**row)

    async def storage_stats(self) -> dict[str, Any]:
        return json.loads(await self._value("select public.get_media_storage_stats()"))

    async def schema(self) -> set[str]:
        """What the database holds of pgmedia, a line each."""
        return {row[0] for row in await self._rows("select public.describe_media_schema()")}

    async def begin_reconcile(self, project_url: str, bucket_name: str | None) -> ReconcileRun:
        (row,) = await self._rows(
            "select * from public.begin_media_reconcile($1, $2)", project_url, bucket_name
        )
        return ReconcileRun(**row)

    async def copy_listing(
        self, run: ReconcileRun, bucket_name: str, after: str, limit: int
    ) -> tuple[int, str | None]:
        """List files by the storage server's own tables: how many, and the last path, if any."""
        (row,) = await self._rows(
            "select files, last_path from public.copy_media_listing($1, $2, $3, $4)",
            run.run_id, bucket_name, after, limit,
        )  # fmt: skip
        return row["files"], row["last_path"]

    async def add_listing(self, run: ReconcileRun, files: Sequence[StoredFile]) -> int:
        """Returns how many of the files count, being in folders of pgmedia."""
        return await self._value(
            "select public.add_media_listing($1, $2)", run.run_id, _json(files)
        )

    async def compare_storage(
        self, run: ReconcileRun, bucket_name: str, after: str, limit: int
    ) -> str | None:
        """Compare the next paths after this one; returns the last of them, None at the end."""
        return await self._value(
            "select public.compare_media_storage($1, $2, $3, $4)",
            run.run_id, bucket_name, after, limit,
        )  # fmt: skip

    async def list_differences(
        self, run: ReconcileRun, status: Literal["found", "confirmed"], limit: int
    ) -> list[tuple[str, str]]:
        """Bucket and path of the next differences to confirm, or to fix."""
        rows = await self._rows(
            "select bucket_name, storage_path from public.list_media_differences($1, $2, $3)",
            run.run_id, status, limit,
        )  # fmt: skip
        return [(row["bucket_name"], row["storage_path"]) for row in rows]

    async def confirm_differences(
        self, run: ReconcileRun, files: Sequence[StoredFile]
    ) -> list[Difference]:
        """Those at these paths that are left, now that storage was asked."""
        rows = await self._rows(
            "select * from public.confirm_media_differences($1, $2)", run.run_id, _json(files)
        )
        return [Difference(**row) for row in rows]

    async def fix_differences(self, run: ReconcileRun, files: Sequence[StoredFile]) -> list[Fix]:
        rows = await self._rows(
            "select * from public.fix_media_differences($1, $2)", run.run_id, _json(files)
        )
        return [Fix(**row) for row in rows]

    async def end_reconcile(self, run: ReconcileRun) -> None:
        await self._value("select public.end_media_reconcile($1)", run.run_id)

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
        """Store a webhook call; returns the summary, as JSON.

        Raises UnreadableError, which is counted, and DatabaseError. Postgres alone decides what is
        JSON, so a body is parsed once.
        """
        try:
            try:
                call = "select public.receive_whatsapp_webhook($1)"
                return await self._value(call, body.decode(), wait=WEBHOOK_WAIT_SECONDS)
            except (*NOT_JSON, UnicodeDecodeError):
                reason = "not_json"
            except asyncpg.StatementTooComplexError:
                reason = "too_deep"
            call = "select public.count_webhook_refusal($1)"
            await self._value(call, reason, wait=WEBHOOK_WAIT_SECONDS)
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise DatabaseError(f"{type(error).__name__}: {error}") from error
        raise UnreadableError(reason)

    async def _fenced(self, call: str, job: Job, *arguments: object) -> asyncpg.Record:
        try:
            (row,) = await self._rows(call, job.id, self.poller, job.fencing_token, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == LEASE_LOST:
                raise LeaseLostError(str(error)) from None
            raise
        return row

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

    async def _value(self, call: str, *arguments: object, wait: float | None = None) -> Any:
        return (await self._rows(call, *arguments, wait=wait))[0][0]


def _keys(held: Sequence[Job] | Sequence[Deletion]) -> tuple[list[UUID], list[int]]:
    return [one.id for one in held], [one.fencing_token for one in held]


def _json(files: Sequence[StoredFile]) -> str:
    return json.dumps([asdict(one) for one in files], default=str)
