"""The calls of a poller at work: jobs, files to remove, and its own life."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg

from poller import __version__
from poller.db.grouping import GroupedCalls
from poller.db.pool import Pool
from poller.records import Deletion, Failure, FailureVerdict, Job, SourceVerdict, UploadVerdict

LEASE_LOST = "MD001"
CLAIM = (  # by name, so that the function of a newer version may answer more
    "select id, fencing_token, attempt, whatsapp_media_id, phone_number_id, source_url,"
    " waited_seconds from public.claim_media_jobs($1, $2)"
)

# Each for one job, and for a group of them, in the order that they come in.
DESCRIBE = (
    "select verdict, reason, max_bytes from public.describe_media_sources("
    "$2, array[$1::uuid], array[$3::integer], array[$4::text], array[$5::bigint], array[$6::text])",
    """
    select answer.verdict, answer.reason, answer.max_bytes
    from unnest($1::uuid[]) with ordinality job (id, place)
    join public.describe_media_sources(
        $2, $1, $3::integer[], $4::text[], $5::bigint[], $6::text[]) answer on answer.id = job.id
    order by job.place
    """,
)
BEGIN = (
    "select verdict, reason, object_id, bucket_name, storage_path, content_type, cache_control,"
    " stored_hash, encoding from public.begin_media_uploads("
    "$2, array[$1::uuid], array[$3::integer], array[$4::text], array[$5::bigint], array[$6::text],"
    " array[$7::jsonb])",
    """
    select answer.verdict, answer.reason, answer.object_id, answer.bucket_name, answer.storage_path,
        answer.content_type, answer.cache_control, answer.stored_hash, answer.encoding
    from unnest($1::uuid[]) with ordinality job (id, place)
    join public.begin_media_uploads(
        $2, $1, $3::integer[], $4::text[], $5::bigint[], $6::text[], $7::jsonb[]) answer
        on answer.id = job.id
    order by job.place
    """,
)
FINISH = (
    "select waited from public.finish_media_uploads("
    "$2, array[$1::uuid], array[$3::integer], array[$4::uuid], array[$5::jsonb])",
    """
    select answer.waited
    from unnest($1::uuid[]) with ordinality job (id, place)
    join public.finish_media_uploads($2, $1, $3::integer[], $4::uuid[], $5::jsonb[]) answer
        on answer.id = job.id
    order by job.place
    """,
)


class LeaseLostError(Exception):
    """Another poller has taken the job over, or it is done: drop the result."""


class Jobs(Pool):
    """(id, poller, fencing token) goes with every call about a job.

    Verdicts that are asked for at the same moment go to the database as one call.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], poller: str) -> None:
        super().__init__(pool, poller)
        self._describe = self._grouped(*DESCRIBE)
        self._begin = self._grouped(*BEGIN)
        self._finish = self._grouped(*FINISH)

    async def claim(self, limit: int) -> list[Job]:
        rows = await self._rows(CLAIM, self.poller, limit)
        return [Job(**row) for row in rows]

    async def renew(self, jobs: Collection[Job]) -> set[Job]:
        """Renew leases; the jobs still held come back. Of one claimed twice, the last may be."""
        last = {job.id: job for job in sorted(jobs, key=lambda job: job.fencing_token)}
        rows = await self._fetch(
            "select public.renew_media_leases($1, $2, $3)", self.poller, *_keys(last.values())
        )
        return {last[row[0]] for row in rows}

    async def release(self, jobs: Sequence[Job]) -> None:
        await self._rows("select public.release_media_jobs($1, $2, $3)", self.poller, *_keys(jobs))

    async def describe(
        self, job: Job, mime_type: str | None, file_size: int | None, sha256: str | None
    ) -> SourceVerdict:
        row = await self._describe((sha256 or "", job, mime_type, file_size, sha256))
        return SourceVerdict(**row)

    async def begin_upload(
        self, job: Job, content_hash: str, file_size: int, facts: dict[str, Any]
    ) -> UploadVerdict:
        """`facts`: what the content check found, as poller.checks.Facts.as_json gives it."""
        row = await self._begin(
            (content_hash, job, content_hash, file_size, facts["mime_type"], json.dumps(facts))
        )
        return _upload_verdict(row)

    async def settle_encoding(
        self, job: Job, tried: UploadVerdict, *,
        problem: str | None = None, problem_code: str | None = None,
        stored_hash: str | None = None, stored_size: int | None = None,
        facts: dict[str, Any] | None = None,
    ) -> UploadVerdict:  # fmt: skip
        """What came of `tried`: a problem, or a result, with what the content check found in it.

        `problem_code`: as the function takes it; the encoder's errors have it.
        """
        row = await self._fenced(
            "select * from public.settle_media_encoding($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            job, tried.object_id, json.dumps(tried.encoding), problem, stored_hash, stored_size,
            facts and json.dumps(facts), problem_code,
        )  # fmt: skip
        return _upload_verdict(row)

    async def settle_quarantine(self, job: Job, storage_path: str, *, stored: bool | None) -> str:
        """Refused bytes were put there, or not, or perhaps; returns the verdict."""
        row = await self._fenced(
            "select public.settle_media_quarantine($1, $2, $3, $4, $5)", job, storage_path, stored
        )
        return row[0]

    async def finish_upload(
        self, job: Job, content_hash: str, object_id: UUID, timings: dict[str, int]
    ) -> int:
        """Record an upload; returns how many attachments waited for it.

        `content_hash`: as in begin_upload, for the order in which contents are locked.
        """
        return (await self._finish((content_hash, job, object_id, json.dumps(timings))))[0]

    async def fail(self, job: Job, failure: Failure) -> FailureVerdict:
        row = await self._fenced(
            "select verdict, failure_code"
            " from public.fail_media_job($1, $2, $3, $4, $5, $6, $7, $8)",
            job, failure.source, failure.provider_code, failure.http_status,
            failure.retry_after, failure.text,
        )  # fmt: skip
        return FailureVerdict(**row)

    async def note_late_answer(self, job: Job, failure: Failure | None) -> None:
        """Tell what was heard after the lease was lost: this failure, or none."""
        call = "select public.note_late_answer($1, $2, $3, $4, $5, $6)"
        told = (
            (failure.source, failure.provider_code, failure.http_status) if failure else [None] * 3
        )
        await self._value(call, job.id, job.fencing_token, job.phone_number_id, *told)

    async def discard_upload(self, bucket_name: str, storage_path: str, *, answered: bool) -> None:
        """See that an upload leaves no file, unless it is in use. `answered`: it has ended."""
        call = "select public.discard_media_upload($1, $2, $3)"
        await self._value(call, bucket_name, storage_path, answered)

    async def heartbeat(
        self,
        mode: Literal["listen", "poll"],
        in_flight: int,
        work: Sequence[Mapping[str, Any]] = (),
        *,
        project_url: str | None,
    ) -> float:
        """Show that this poller is alive, and where its storage is; returns the lease in seconds.

        `work`: what some of the attachments in hand are at, as the function takes it. From then on
        WrongProjectError is raised by this, by claims and by what records their end, when the files
        are in another project, as they are after a move.
        """
        call = "select public.heartbeat_media_poller($1, $2, $3, $4, $5, $6)"
        told = (self.poller, __version__, mode, in_flight, json.dumps([*work]), project_url)
        return (await self._fetch(call, *told))[0][0]

    async def queue_figures(self) -> dict[str, Any]:
        """As get_media_queue_figures answers."""
        return json.loads(await self._value("select public.get_media_queue_figures()"))

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

    async def release_deletions(self, deletions: Sequence[Deletion], begun: Sequence[bool]) -> None:
        """Give files back that were not removed, or of which that is not known, if `begun`."""
        await self._value(
            "select public.release_media_deletions($1, $2, $3, $4)",
            self.poller, *_keys(deletions), begun,
        )  # fmt: skip

    async def fail_deletions(self, deletions: Sequence[Deletion], failure: Failure) -> str:
        """Report files that were not removed; returns the failure code."""
        return await self._value(
            "select public.fail_media_deletions($1, $2, $3, $4, $5, $6, $7)",
            self.poller, *_keys(deletions), failure.provider_code, failure.http_status,
            failure.retry_after, failure.text,
        )  # fmt: skip

    def _grouped(
        self, call_one: str, call_many: str
    ) -> GroupedCalls[tuple[Any, ...], asyncpg.Record]:
        """Items: the hash of a content, a job, and the arguments of the call.

        Groups of all kinds and of all pollers lock contents in the order of their hashes.
        """

        async def one(item: tuple[Any, ...]) -> asyncpg.Record:
            _, job, *arguments = item
            return await self._fenced(call_one, job, *arguments)

        async def many(items: Sequence[tuple[Any, ...]]) -> list[asyncpg.Record]:
            _, jobs, *arguments = zip(*items, strict=True)
            ids, tokens = _keys(jobs)
            return await self._rows(call_many, ids, self.poller, tokens, *arguments)

        return GroupedCalls(one, many, order=lambda item: item[0])

    async def _fenced(self, call: str, job: Job, *arguments: object) -> asyncpg.Record:
        try:
            (row,) = await self._rows(call, job.id, self.poller, job.fencing_token, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == LEASE_LOST:
                raise LeaseLostError(str(error)) from None
            raise
        return row


def _upload_verdict(row: asyncpg.Record) -> UploadVerdict:
    encoding = row["encoding"] and json.loads(row["encoding"])
    return UploadVerdict(**{**row, "encoding": encoding})


def _keys(held: Collection[Job] | Collection[Deletion]) -> tuple[list[UUID], list[int]]:
    return [one.id for one in held], [one.fencing_token for one in held]
