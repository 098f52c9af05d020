"""The calls of a poller at work: jobs, files to remove, and its own life."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg

from poller import __version__
from poller.db.pool import Pool
from poller.records import Deletion, Failure, FailureVerdict, Job, SourceVerdict, UploadVerdict

LEASE_LOST = "MD001"


class LeaseLostError(Exception):
    """Another poller has taken the job over, or it is done: drop the result."""


class Jobs(Pool):
    """(id, poller, fencing token) goes with every call about a job."""

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
        self, job: Job, content_hash: str, file_size: int, facts: dict[str, Any]
    ) -> UploadVerdict:
        """`facts`: what the content check found, as poller.checks.Facts.as_json gives it."""
        row = await self._fenced(
            "select * from public.begin_media_upload($1, $2, $3, $4, $5, $6, $7)",
            job, content_hash, file_size, facts["mime_type"], json.dumps(facts),
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

    async def discard_upload(self, bucket_name: str, storage_path: str, *, answered: bool) -> None:
        """See that an upload leaves no file, unless it is in use. `answered`: it has ended."""
        call = "select public.discard_media_upload($1, $2, $3)"
        await self._value(call, bucket_name, storage_path, answered)

    async def heartbeat(
        self, mode: Literal["listen", "poll"], in_flight: int, project_url: str | None
    ) -> float:
        """Show that this poller is alive, and where its storage is; returns the lease in seconds.

        From then on WrongProjectError is raised by this, by claims and by what records their end,
        when the files are in another project, as they are after a move.
        """
        call = "select public.heartbeat_media_poller($1, $2, $3, $4, $5)"
        (row,) = await self._fetch(call, self.poller, __version__, mode, in_flight, project_url)
        return row[0]

    async def maintain(self) -> dict[str, str]:
        """Keep house, unless that was done within the last minute or is being done.

        Returns what went wrong, by step.
        """
        call = "select public.run_media_maintenance(unless_within => '50 seconds')"
        done: dict[str, Any] = json.loads(await self._value(call))
        return done.get("errors", {})

    async def leave(self) -> None:
        await self._value("select public.leave_media_poller($1)", self.poller)

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

    async def _fenced(self, call: str, job: Job, *arguments: object) -> asyncpg.Record:
        try:
            (row,) = await self._rows(call, job.id, self.poller, job.fencing_token, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == LEASE_LOST:
                raise LeaseLostError(str(error)) from None
            raise
        return row


def _keys(held: Sequence[Job] | Sequence[Deletion]) -> tuple[list[UUID], list[int]]:
    return [one.id for one in held], [one.fencing_token for one in held]
