"""One attachment, from claim to stored: ask, do, report. The database decides at every step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import asyncpg

from poller.attempt import GIVEN_BACK, Attempt, Outcome
from poller.content import Spool, SpoolError
from poller.db import DATABASE_AWAY, Database, LeaseLostError, WrongProjectError
from poller.http import ProviderError
from poller.inspector import InspectionError, Inspector
from poller.logs import about_job
from poller.metrics import PollerMetrics
from poller.records import Failure, Job, UploadVerdict
from poller.storage import Storage
from poller.text import describe_error
from poller.whatsapp import Source, WhatsApp

log = logging.getLogger(__name__)

Result = TypeVar("Result")
LEASE_LOST = "lease lost"

RECONNECT_SECONDS = (0.1, 0.5, 2.0, 5.0)
"""Waits between calls to a database that is away; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What it takes to process attachments; one instance serves all of a poller's."""

    database: Database
    whatsapp: WhatsApp
    storage: Storage
    inspector: Inspector
    encoder: Inspector
    spool_memory_bytes: int
    spool_folder: Path | None
    metrics: PollerMetrics = field(default_factory=PollerMetrics)
    attempts: dict[Job, Attempt] = field(default_factory=dict[Job, Attempt])
    """What is being worked on. An attachment may be there twice: lost, and claimed once more."""
    recording: set[Job] = field(default_factory=set[Job])
    """Of these, the ones that are stored: their bytes are let go, only the record is left to do."""
    afterwards: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """Calls that outlast the work they are about; whoever ends the poller lets them end first."""

    async def process(self, job: Job, stored: Callable[[], None] = lambda: None) -> Outcome:
        """Work on one claimed attachment and report how it went; returns that, for the log.

        `stored` is called when the job has come to `recording`.
        Raises nothing but cancellation and WrongProjectError: whatever else goes wrong is reported
        to the database, and when the lease was lost, nothing is.
        """
        about_job(job)
        attempt = self.attempts[job] = Attempt(job, self.metrics, stored)
        outcome = Outcome(GIVEN_BACK)
        try:
            outcome = await self._attempt(job, attempt)
        finally:
            del self.attempts[job]
            self.recording.discard(job)
            self.metrics.ended(outcome.verdict, outcome.code, time.monotonic() - attempt.began)
        return outcome

    def slots_in_use(self) -> int:
        """How many attachments have bytes to be moved."""
        return len(self.attempts) - len(self.recording)

    def drop(self, job: Job) -> None:
        """Its lease is lost, and the work on it ends: tell what only this poller knows."""
        if (attempt := self.attempts.get(job)) is not None and attempt.is_granted:
            self._see_through(lambda: self.database.note_late_answer(job, None))

    async def _attempt(self, job: Job, attempt: Attempt) -> Outcome:
        try:
            return await self._process(job, attempt)
        except LeaseLostError as error:
            return await self._lost(job, error)
        except ProviderError as error:
            failure = error.failure
        except SpoolError as error:
            failure = _of_spool(error)
        except InspectionError as error:
            failure = Failure("poller", str(error), provider_code=error.code)
        except WrongProjectError:  # no fault of the job: it is to be given back
            raise
        except Exception as error:
            log.exception("unexpected error")
            failure = Failure("poller", f"unexpected {type(error).__name__}")
        return await self._report(job, failure)

    async def _process(self, job: Job, attempt: Attempt) -> Outcome:
        self.metrics.queue_wait.observe(job.waited_seconds)
        if job.source_url is not None and self.whatsapp.trusts(job.source_url):
            source = Source(job.source_url)  # should it fail, the next attempt is given none
        else:
            source = await self.whatsapp.describe(job.whatsapp_media_id, job.phone_number_id)
        asked = await persistently(
            lambda: self.database.describe(job, source.mime_type, source.file_size, source.sha256)
        )
        if asked.verdict != "download":
            return Outcome(asked.verdict, asked.reason)
        attempt.ends_step("download", source.file_size)
        with contextlib.ExitStack() as spools:
            spool = spools.enter_context(self._spool())

            def write(piece: bytes) -> None:
                spool.write(piece)
                attempt.bytes_done, attempt.is_granted = spool.size, True
                self.metrics.downloaded.inc(len(piece))

            await self.whatsapp.download(source.url, asked.max_bytes, write)
            attempt.ends_step("check", spool.size)
            facts = await self.inspector.examine(spool)
            content_hash = spool.sha256
            begun = await persistently(
                lambda: self.database.begin_upload(job, content_hash, spool.size, facts)
            )
            if begun.verdict == "encode":
                attempt.ends_step("encode", spool.size)
                begun, spool = await self.encode(job, begun, spool, spools)
            if begun.verdict == "quarantine":
                return await self._quarantine(job, begun, spool)
            if begun.verdict != "upload":
                return Outcome(begun.verdict, begun.reason)
            attempt.ends_step("upload", spool.size)
            return await self._store(job, content_hash, begun, spool, attempt, spools)

    async def encode(
        self, job: Job, asked: UploadVerdict, spool: Spool, spools: contextlib.ExitStack
    ) -> tuple[UploadVerdict, Spool]:
        """Encode a download as asked, until the verdict is another; the bytes it is about."""
        held = spool
        while asked.verdict == "encode":
            assert asked.encoding  # noqa: S101
            encoded = spools.enter_context(self._spool())
            try:
                facts = await self.encoder.encode(spool, asked.encoding, encoded)
            except (InspectionError, SpoolError) as error:
                settle = partial(
                    self.database.settle_encoding, job, asked,
                    problem=str(error), problem_code=error.code,
                )  # fmt: skip
            else:
                settle = partial(
                    self.database.settle_encoding, job, asked,
                    stored_hash=encoded.sha256, stored_size=encoded.size, facts=facts,
                )  # fmt: skip
            asked = await persistently(settle)
            if asked.stored_hash == encoded.sha256:
                held = encoded
            else:
                encoded.close()
        return asked, held

    async def _quarantine(self, job: Job, place: UploadVerdict, spool: Spool) -> Outcome:
        """Put refused bytes where nobody is served them; wherever they end, they are refused."""
        assert place.bucket_name and place.storage_path  # noqa: S101, PT018
        assert place.content_type and place.cache_control  # noqa: S101, PT018
        path = place.storage_path
        stored: bool | None = True
        try:
            await self.storage.upload(
                place.bucket_name,
                path,
                spool.content(),
                size=spool.size,
                content_type=place.content_type,
                cache_control=place.cache_control,
            )
        except ProviderError as error:
            status = error.failure.http_status or 0
            stored = False if 400 <= status < 500 else None
            log.warning("not put into quarantine: %s", error.failure.text)
        settled = await persistently(
            lambda: self.database.settle_quarantine(job, path, stored=stored)
        )
        return Outcome(settled, place.reason)

    def _spool(self) -> Spool:
        return Spool(self.spool_memory_bytes, self.spool_folder)

    async def _store(
        self, job: Job, content_hash: str, place: UploadVerdict, spool: Spool, attempt: Attempt,
        spools: contextlib.ExitStack,
    ) -> Outcome:  # fmt: skip
        """Upload and record; whatever came of it, no file stays that nothing knows of."""
        assert place.object_id and place.bucket_name and place.storage_path  # noqa: S101, PT018
        assert place.content_type and place.cache_control  # noqa: S101, PT018
        object_id, bucket, path = place.object_id, place.bucket_name, place.storage_path
        answered = False
        try:
            await self.storage.upload(
                bucket,
                path,
                spool.content(attempt.uploads),
                size=spool.size,
                content_type=place.content_type,
                cache_control=place.cache_control,
            )
            answered = True
            attempt.ends_step(None)
            spools.close()
            self.recording.add(job)
            attempt.stored()
            await persistently(
                lambda: self.database.finish_upload(job, content_hash, object_id, attempt.timings)
            )
        except ProviderError as error:  # it may be there all the same
            failure = error.failure if spool.lost is None else _of_spool(spool.lost)
            outcome = await self._report(job, failure)
        except LeaseLostError as error:
            log.warning("lease lost: %s", error)
            outcome = Outcome(LEASE_LOST)
        except asyncio.CancelledError:
            await self._discard(bucket, path, answered=answered)
            raise
        else:
            self.metrics.uploaded.inc(spool.size)
            self.metrics.file_size.observe(spool.size)
            return Outcome("stored")
        if outcome.verdict == LEASE_LOST:
            await self._discard(bucket, path, answered=answered)
        return outcome

    async def _discard(self, bucket: str, path: str, *, answered: bool) -> None:
        """Goes on when the work on the attachment is cancelled, or cancelled again."""
        await asyncio.shield(
            self._see_through(lambda: self.database.discard_upload(bucket, path, answered=answered))
        )

    def _see_through(self, call: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(persistently(call))
        self.afterwards.add(task)
        task.add_done_callback(self.afterwards.discard)
        return task

    async def _report(self, job: Job, failure: Failure) -> Outcome:
        try:
            verdict = await persistently(lambda: self.database.fail(job, failure))
        except LeaseLostError as error:
            return await self._lost(job, error, failure)
        log.warning("%s, %s: %s", verdict.verdict, verdict.failure_code, failure.text)
        return Outcome(verdict.verdict, verdict.failure_code)

    async def _lost(
        self, job: Job, error: LeaseLostError, failure: Failure | None = None
    ) -> Outcome:
        """The database has refused the result; what WhatsApp has answered it may want to know."""
        log.warning("lease lost: %s", error)
        await persistently(lambda: self.database.note_late_answer(job, failure))
        return Outcome(LEASE_LOST)


def _of_spool(error: SpoolError) -> Failure:
    return Failure("poller", str(error), provider_code=error.code)


async def persistently(call: Callable[[], Awaitable[Result]]) -> Result:
    """Make a database call, again and again while the database is away.

    Every call made so is safe to repeat: a repetition of one that was carried out finds the lease
    gone. The work in hand is kept meanwhile.
    """
    waits = iter(RECONNECT_SECONDS)
    wait = RECONNECT_SECONDS[0]
    while True:
        try:
            return await call()
        except asyncpg.ClientConfigurationError:  # no time mends a wrong setting
            raise
        except DATABASE_AWAY as error:
            wait = next(waits, wait)
            log.warning("database away, again in %s s: %s", wait, describe_error(error))
        await asyncio.sleep(wait)
