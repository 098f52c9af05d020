"""What pollers do to the queue, and what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)

from tests.sql.queue_clients import ServedQueue
from tests.sql.queue_world import (
    ANY,
    HOLDS,
    HUGE,
    INTERRUPTIONS,
    LIMITS,
    MANY,
    PAGE,
    PHOTO,
    POLLERS,
    TROUBLES,
    Content,
    Failure,
    Job,
    Removal,
)


class WorkedQueue(ServedQueue):
    """Pollers claim, work, fail, are interrupted, speak out of turn, and remove files."""

    @rule(poller=POLLERS, limit=LIMITS)
    def claim(self, poller: str, limit: int) -> None:
        if not self.queued:
            return
        held = self.rows(
            "select id from media_processing_queue"
            " where status = 'processing' and lease_until > clock_timestamp()"
        )
        paused = {
            row["scope"] for row in self.rows("select scope from media_pauses where until > now()")
        }
        claimed = self.call("claim_media_jobs", poller, limit)
        assert len(claimed) <= limit
        assert not {row["id"] for row in claimed} & {row["id"] for row in held}
        assert not claimed or not paused & {"storage", f"poller:{poller}"}
        assert not paused & {f"whatsapp:{row['phone_number_id']}" for row in claimed}
        self.jobs += [Job(row["id"], poller, row["fencing_token"]) for row in claimed]

    @property
    def open_jobs(self) -> list[Job]:
        return [job for job in self.jobs if job.stage != "over"]

    @rule(numbers=MANY)
    def work(self, numbers: list[int]) -> None:
        """Pollers take the next steps of their jobs."""
        for number in numbers:
            if job := self.pick(self.open_jobs, number):
                self.step(job)
                self.holds_together()

    @rule(poller=POLLERS)
    def work_together(self, poller: str) -> None:
        """The jobs that a poller still holds take their next step in one call."""
        at: dict[str, list[Job]] = {"claimed": [], "described": [], "uploaded": []}
        for job in self.open_jobs:
            if job.poller == poller and self.rows(HOLDS, job.media, job.poller, job.token):
                at.get(job.stage, []).append(job)
        for stage, jobs in at.items():
            if jobs:
                getattr(self, f"step_{stage}")(jobs)
                self.holds_together()

    def ask_together(self, function: str, jobs: list[Job], *columns: list[object]) -> list[Any]:
        ids, tokens = [job.media for job in jobs], [job.token for job in jobs]
        answers = {
            row["id"]: row for row in self.call(function, jobs[0].poller, ids, tokens, *columns)
        }
        assert answers.keys() == set(ids)
        return [answers[job.media] for job in jobs]

    def step_claimed(self, jobs: list[Job]) -> None:
        sent = [self.attachments[job.media] for job in jobs]
        columns: tuple[list[object], ...] = (
            [one.content.mime_type for one in sent],
            [one.content.size for one in sent],
            [one.endpoint_hash for one in sent],
        )
        answers = self.ask_together("describe_media_sources", jobs, *columns)
        for job, answer in zip(jobs, answers, strict=True):
            job.stage = "described" if answer["verdict"] == "download" else "over"

    def step_described(self, jobs: list[Job]) -> None:
        contents = [self.attachments[job.media].content for job in jobs]
        columns: tuple[list[object], ...] = (
            [one.hash for one in contents],
            [one.size for one in contents],
            [one.mime_type for one in contents],
            [None for _ in contents],
        )
        answers = self.ask_together("begin_media_uploads", jobs, *columns)
        for job, content, answer in zip(jobs, contents, answers, strict=True):
            job.stage = "begun" if answer["verdict"] == "upload" else "over"
            job.object_id, job.hash = answer["object_id"], content.hash
            job.place = (answer["bucket_name"], answer["storage_path"])

    def step_uploaded(self, jobs: list[Job]) -> None:
        self.ask_together(
            "finish_media_uploads", jobs, [job.object_id for job in jobs], [None for _ in jobs]
        )
        for job in jobs:
            job.stage = "over"

    def step(self, job: Job) -> None:
        steps: dict[str, Callable[[Job], None]] = {
            "claimed": self.describe, "described": self.begin, "begun": self.upload,
            "uploaded": self.finish, "lost": self.discard,
        }  # fmt: skip
        steps[job.stage](job)

    def describe(self, job: Job) -> None:
        attachment = self.attachments[job.media]
        content = attachment.content
        answer = self.fenced(
            job, "describe_media_source", content.mime_type, content.size, attachment.endpoint_hash
        )
        if answer:
            job.stage = "described" if answer["verdict"] == "download" else "over"

    def begin(self, job: Job, received: Content | None = None) -> None:
        content = received or self.attachments[job.media].content
        answer = self.fenced(
            job, "begin_media_upload", content.hash, content.size, content.mime_type
        )
        if answer:
            job.stage = "begun" if answer["verdict"] == "upload" else "over"
            job.object_id, job.hash = answer["object_id"], content.hash
            job.place = (answer["bucket_name"], answer["storage_path"])

    def upload(self, job: Job) -> None:
        self.files[job.place], self.checked = job.hash, False
        job.stage = "uploaded"

    def finish(self, job: Job) -> None:
        if self.fenced(job, "finish_media_upload", job.object_id):
            job.stage = "over"

    def discard(self, job: Job) -> None:
        self.call("discard_media_upload", *job.place, True)
        job.stage = "over"

    @rule(number=ANY, what=st.sampled_from(TROUBLES), received=st.sampled_from([PHOTO, PAGE, HUGE]))
    def trouble(self, number: int, what: Failure | str, received: Content) -> None:
        if isinstance(what, tuple):
            self.fail(number, what)
        elif what in INTERRUPTIONS:
            self.interrupt(number, what)
        else:
            self.speak_out_of_turn(number, what, received)

    def fail(self, number: int, failure: Failure) -> None:
        job = self.pick(self.open_jobs, number)
        if job and self.fenced(job, "fail_media_job", *failure, "it failed"):
            job.stage = "over"

    def speak_out_of_turn(self, number: int, what: str, received: Content) -> None:
        """A call by any poller that ever had the job, at any time."""
        job = self.pick(self.jobs[-10:], number)
        if not job:
            return
        holds = bool(self.rows(HOLDS, job.media, job.poller, job.token))
        if what in ("renew", "release"):
            self.keep_or_give_back(job, what, holds)
        elif what == "late answer":
            heard = ("whatsapp", "190", 401) if number % 2 else (None, None, None)
            if not holds:
                self.call("note_late_answer", job.media, job.token, str(number % 2), *heard)
        elif job.stage in ("uploaded", "lost"):
            pass  # it has a file to speak of first
        elif what == "describe":
            self.describe(job)
        elif what == "begin":
            self.begin(job)
        elif what == "other bytes":
            self.begin(job, received)
        elif not holds:
            self.finish(job)

    def keep_or_give_back(self, job: Job, what: str, holds: bool) -> None:
        before = self.snapshot()
        function = {"renew": "renew_media_leases", "release": "release_media_jobs"}[what]
        answer = self.call(function, job.poller, [job.media], [job.token])
        assert [row[function] for row in answer] == [job.media] * holds
        assert holds or self.snapshot() == before

    def interrupt(self, number: int, how: str) -> None:
        """Something happens to a job that a poller is at."""
        job = self.pick(self.open_jobs, number)
        if not job:
            pass
        elif how == "lease ends":
            self.end_leases(job.poller)
            self.call("rescue_media_jobs")
        elif how == "take-over":
            self.end_leases(job.poller)
            self.claim("two" if number % 3 else "one", 5)
        elif how == "cancel":
            self.call("cancel_media", job.media)
        elif how == "delete":
            self.call("delete_media", job.media)
            self.forget(job.media)
        elif job.stage != "lost" and (job.stage != "uploaded" or self.is_reserved(job.object_id)):
            job.stage = "over"  # a crash; after it a file that came too late would be a leak

    # Files to remove.

    def claim_deletions(self, poller: str, limit: int) -> None:
        claimed = self.call("claim_media_deletions", poller, limit)
        assert len(claimed) <= limit
        self.removals += [
            Removal(
                row["id"], poller, row["fencing_token"], (row["bucket_name"], row["storage_path"])
            )
            for row in claimed
        ]
        self.holds_together()

    @property
    def open_removals(self) -> list[Removal]:
        return [removal for removal in self.removals if not removal.over]

    @rule(poller=POLLERS, limit=LIMITS, numbers=MANY, http_status=st.sampled_from([None, 500, 503]))
    def remove(self, poller: str, limit: int, numbers: list[int], http_status: int | None) -> None:
        """Pollers claim files and take the next steps of their removals."""
        self.claim_deletions(poller, limit)
        if http_status:
            self.fail_removal(numbers[0], http_status)
        if numbers[1] % 5 == 0:
            self.give_removal_back(numbers[2])
        for number in numbers:
            if removal := self.pick(self.open_removals, number):
                if removal.removed:
                    self.finish_removal(removal)
                else:
                    self.files.pop(removal.place, None)
                    removal.removed, self.checked = True, False
                self.holds_together()

    def finish_removal(self, removal: Removal) -> None:
        removal.over = True
        holds = self.rows(
            "select from media_deletion_queue"
            " where id = %s and claimed_by = %s and fencing_token = %s and status = 'processing'",
            removal.id, removal.poller, removal.token,
        )  # fmt: skip
        answer = self.call("finish_media_deletions", removal.poller, [removal.id], [removal.token])
        assert answer == [{"finish_media_deletions": len(holds)}]

    def give_removal_back(self, number: int) -> None:
        if removal := self.pick(self.open_removals, number):
            removal.over = True
            self.call(
                "release_media_deletions", removal.poller, [removal.id], [removal.token],
                [removal.removed],
            )  # fmt: skip

    def fail_removal(self, number: int, http_status: int) -> None:
        if removal := self.pick(self.open_removals, number):
            removal.over = True
            self.call(
                "fail_media_deletions", removal.poller, [removal.id], [removal.token],
                None, http_status, None, "it failed",
            )  # fmt: skip
