"""The queue against a model: every function of it, in any order, by pollers that lose their leases.

A state machine calls what clients, operators, pollers and time itself may do, while storage is a
dict. After every call the invariants hold, the audit trail of each attachment tells where it is,
and the analytics are what the trail adds up to. At the end one good poller brings all to an end.

PGMEDIA_TEST_PROFILE=thorough looks much longer, and elsewhere every time.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row

from tests.helpers import sha256
from tests.sql.queue_invariants import EMPTY, TABLES, THOROUGH, VIOLATIONS

PROFILE = settings(
    max_examples=600 if THOROUGH else 50,
    stateful_step_count=60 if THOROUGH else 30,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Item = TypeVar("Item")
Connection = psycopg.Connection[dict[str, Any]]
Failure = tuple[str, str | None, int | None, float | None]
"""Whose, its code, HTTP status and Retry-After."""
Hints = tuple[bool | None, bool | None]
Place = tuple[str, str]
"""Bucket and path of a file."""


class Content(NamedTuple):
    """A file that somebody may send."""

    name: str
    mime_type: str
    size: int

    @property
    def hash(self) -> str:
        return sha256(self.name.encode())


PHOTO, VOICE = Content("photo", "image/jpeg", 1000), Content("voice", "audio/ogg", 500)
PAGE, HUGE = Content("page", "application/pdf", 3000), Content("huge", "image/jpeg", 52428801)
PROGRAM = Content("program", "application/x-msdownload", 700)

# What is sent, and as what; the same content again and again, and as public as well as private.
SENT: list[tuple[str | None, Content]] = [
    ("image", PHOTO), ("image", PHOTO), ("document", PHOTO), ("document", PHOTO), (None, PHOTO),
    ("audio", VOICE), ("document", VOICE), ("document", PAGE), (None, PAGE),
    ("sticker", PHOTO), ("image", VOICE), ("image", HUGE), ("document", PROGRAM),
]  # fmt: skip

# What the webhook says the hash is, and what the media endpoint says: the right one (True), that
# of other content (False), or nothing.
HINTS: list[Hints] = [
    (True, True), (True, True), (None, True), (None, True), (None, None), (None, None),
    (None, None), (True, None), (False, True), (False, None),
]  # fmt: skip

FAILURES: list[Failure] = [
    ("whatsapp", None, 500, None),  # retry
    ("whatsapp", None, 404, 3.0),  # retry, refused
    ("whatsapp", "100", 400, None),  # final, refused
    ("whatsapp", "190", 401, None),  # pause, refused
    ("storage", None, 500, None),  # retry
    ("storage", "InvalidKey", 400, None),  # final
    ("storage", None, 503, 60.0),  # pause
    ("poller", "spool_full", None, None),  # pause of one poller
]

# Where an attachment is after each event of its audit trail. What is missing may not happen.
TRAIL = {
    "": {"queued": "pending"},
    "pending": {
        "claimed": "processing", "deduplicated": "stored", "joined": "waiting",
        "cancelled": "cancelled",
    },
    "processing": {
        "released": "pending", "lease expired": "pending", "attempt failed": "pending",
        "joined": "waiting", "deduplicated": "stored", "stored": "stored",
        "failed": "failed", "cancelled": "cancelled",
    },
    "waiting": {
        "freed": "pending", "deduplicated": "stored", "failed": "failed", "cancelled": "cancelled",
    },
    "failed": {"retried": "pending"},
    "cancelled": {"retried": "pending"},
    "stored": {"file missing": "pending", "file differs": "pending"},
    "deleted": {},
}  # fmt: skip
for _state in TRAIL.keys() - {"", "deleted"}:
    TRAIL[_state]["deleted"] = "deleted"

SNAPSHOT = "\nunion all\n".join(
    f"select '{table}' as name, array_agg(t::text order by t::text) as lines from {table} t"
    for table in TABLES
)

PREPARE = """
update media_settings
set
    project_url = 'https://project.supabase.co',
    lease = '1 hour',
    max_attempts = 3,
    refusals_per_hour = 6,
    reconcile_min_age = '1 microsecond'
"""

HOLDS = """
select from media_processing_queue
where id = %s and claimed_by = %s and fencing_token = %s and status = 'processing'
"""
COUNTED = (
    "media_type, total_files, total_size_bytes, unique_files, deduplicated_files, saved_bytes,"
    " failed_files, deleted_files, deleted_bytes,"
    " lost_files, lost_bytes"
)
LEDGER = f"""
select media_type,
    sum(total_files)::int as total_files, sum(total_size_bytes)::bigint as total_size_bytes,
    sum(unique_files)::int as unique_files, sum(deduplicated_files)::int as deduplicated_files,
    sum(saved_bytes)::bigint as saved_bytes, sum(failed_files)::int as failed_files,
    sum(deleted_files)::int as deleted_files, sum(deleted_bytes)::bigint as deleted_bytes,
    sum(lost_files)::int as lost_files, sum(lost_bytes)::bigint as lost_bytes
from (
    select {COUNTED} from media_analytics union all select {COUNTED} from media_analytics_deltas
) x
group by media_type
"""


@dataclass
class Attachment:
    """What the model knows of an attachment that was queued."""

    content: Content
    endpoint_hash: str | None


@dataclass
class Job:
    """A job in the hands of a poller, whether or not it still holds it."""

    media: UUID
    poller: str
    token: int
    stage: str = "claimed"  # described, begun, uploaded, lost (what it uploaded is to go), over
    object_id: UUID | None = None
    place: Place = ("", "")
    hash: str = ""


@dataclass
class Removal:
    """A file that a poller is to remove."""

    id: UUID
    poller: str
    token: int
    place: Place
    removed: bool = False
    over: bool = False


@dataclass
class Trail:
    """Where an attachment is by its audit trail, and what it was when last seen."""

    state: str = ""
    media_type: str = "unknown"
    deleted_bytes: int = 0
    events: list[str] = field(default_factory=list[str])


Arrival = tuple[int, str, tuple[str | None, Content], Hints, int]
ATTACHMENTS = st.tuples(
    st.integers(0, 3), st.sampled_from("abcd"), st.sampled_from(SENT), st.sampled_from(HINTS),
    st.sampled_from([1, 5]),
)  # fmt: skip
POLLERS = st.sampled_from(["one", "two"])
ANY = st.integers(0, 30)
MANY = st.lists(ANY, min_size=3, max_size=12)
LIMITS = st.integers(1, 5)
OPERATIONS = [
    "cancel", "cancel", "retry", "retry many", "delete", "delete", "delete many", "delete message",
    "pause", "resume", "lose", "lose",
]  # fmt: skip
SCOPES = ["storage", "whatsapp:0", "whatsapp:1", "poller:one"]
INTERRUPTIONS = ["lease ends", "take-over", "take-over", "take-over", "cancel", "delete", "crash"]
OUT_OF_TURN = [
    "describe",
    "begin",
    "begin",
    "other bytes",
    "other bytes",
    "finish",
    "renew",
    "release",
]
EVENTS = ["an hour passes", "an hour passes", "an hour passes", "due times come", "rescue", "fold"]
OFTEN = {"queue": 3, "claim": 2, "work": 9, "trouble": 4, "happen": 2, "remove": 2}
TROUBLES = [*FAILURES, *INTERRUPTIONS, *OUT_OF_TURN]


# No rule has a precondition, as ids are random and a run must not draw by what they happen to be: a
# rule that finds nothing to act on does nothing.


class Queue(RuleBasedStateMachine):
    def __init__(self, db: Connection) -> None:
        super().__init__()
        self.db = db
        self.messages: list[UUID] = []
        self.queued: dict[tuple[UUID, str], UUID] = {}
        self.attachments: dict[UUID, Attachment] = {}
        self.jobs: list[Job] = []
        self.removals: list[Removal] = []
        self.files: dict[Place, str] = {}
        self.trails: dict[UUID, Trail] = {}
        self.sizes: dict[UUID, int] = {}
        self.tokens: dict[UUID, int] = {}
        self.ledger: dict[str, Counter[str]] = {}
        self.last_event = 0
        self.checked = True

    # Ways to ask.

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        return self.db.execute(query.encode(), parameters).fetchall()

    def call(self, function: str, *arguments: object) -> list[dict[str, Any]]:
        self.checked = False
        return self.rows(
            f"select * from {function}({', '.join(['%s'] * len(arguments))})", *arguments
        )

    def run(self, statement: str, *parameters: object) -> None:
        self.checked = False
        self.db.execute(statement.encode(), parameters)

    def snapshot(self) -> list[dict[str, Any]]:
        return self.rows(SNAPSHOT)

    def fenced(self, job: Job, function: str, *arguments: object) -> dict[str, Any] | None:
        """A call about a job: refused, and without effect, exactly when the poller lost it."""
        holds = bool(self.rows(HOLDS, job.media, job.poller, job.token))
        before = [] if holds else self.snapshot()
        if holds:
            return self.call(function, job.media, job.poller, job.token, *arguments)[0]
        with pytest.raises(psycopg.Error) as refused:
            self.call(function, job.media, job.poller, job.token, *arguments)
        assert refused.value.sqlstate == "MD001"
        assert self.snapshot() == before
        job.stage = "lost" if job.stage in ("uploaded", "lost") else "over"
        return None

    # Clients and operators.

    @initialize(seed=st.integers(0, 2**32 - 1), calls=st.sampled_from([0, 200, 200]))
    def start(self, seed: int, calls: int) -> None:
        self.db.execute(EMPTY.encode())
        self.messages = [self.new_message(str(number % 2)) for number in range(4)]
        self.call_by_chance(random.Random(seed), calls)  # noqa: S311

    def new_message(self, phone_number_id: str) -> UUID:
        return self.rows(
            "insert into messages (whatsapp_message_id, phone_number_id, message_type)"
            " values (%s, %s, 'text') returning id",
            uuid4().hex, phone_number_id,
        )[0]["id"]  # fmt: skip

    @rule(attachments=st.lists(ATTACHMENTS, min_size=1, max_size=4))
    def queue(self, attachments: list[Arrival]) -> None:
        for message, name, (media_type, content), hints, priority in attachments:
            other = VOICE if content is PHOTO else PHOTO
            hashes = {True: content.hash, False: other.hash, None: None}
            webhook_hash, endpoint_hash = (hashes[hint] for hint in hints)
            key = (self.messages[message], name)
            before = self.snapshot() if key in self.queued else None
            answer = self.call(
                "queue_media_processing",
                *key,
                media_type,
                None,
                None,
                None,
                None,
                webhook_hash,
                priority,
            )
            media = answer[0]["queue_media_processing"]
            if before is None:
                self.queued[key] = media
                self.attachments[media] = Attachment(content, endpoint_hash)
            else:
                assert media == self.queued[key]
                assert self.snapshot() == before
            self.holds_together()

    def media(self, number: int) -> UUID:
        return list(self.queued.values())[number % len(self.queued)]

    def forget(self, *gone: UUID) -> None:
        self.queued = {key: media for key, media in self.queued.items() if media not in gone}

    @rule(number=ANY, what=st.sampled_from([*OPERATIONS, *EVENTS]))
    def happen(self, number: int, what: str) -> None:
        if what in EVENTS:
            self.pass_time(what)
        else:
            self.operate(number, what)

    def operate(self, number: int, operation: str) -> None:
        if not self.queued:
            return
        media = self.media(number)
        state = self.trails[media].state
        if operation == "cancel":
            at_work = state in ("pending", "processing", "waiting")
            assert self.call("cancel_media", media) == [{"cancel_media": at_work}]
        elif operation == "retry":
            ended = state in ("failed", "cancelled")
            assert self.call("retry_media", media) == [{"retry_media": ended}]
        elif operation == "retry many":
            self.call("retry_failed_media", None, None, number)
        elif operation == "pause":
            self.call("pause_media_source", SCOPES[number % len(SCOPES)])
        elif operation == "resume":
            self.resume_sources()
        elif operation == "lose":
            self.lose(number)
        elif operation == "delete":
            assert self.call("delete_media", media) == [{"delete_media": True}]
            assert self.call("delete_media", media) == [{"delete_media": False}]
            self.forget(media)
        elif operation == "delete many":
            gone = [media, self.media(number + 1), self.media(number + 2)]
            self.run("delete from media where id = any (%s)", gone)
            self.forget(*gone)
        else:
            message = number % len(self.messages)
            gone = [found for key, found in self.queued.items() if key[0] == self.messages[message]]
            self.run("delete from messages where id = %s", self.messages[message])
            self.forget(*gone)
            self.messages[message] = self.new_message(str(message % 2))

    def lose(self, number: int) -> None:
        """A stored file is lost, or cut off: reconciling finds that, and what uploads left."""
        objects = self.rows(
            "select bucket_name, storage_path from media_objects where state = 'stored'"
            " order by content_hash, is_public"
        )
        if not (picked := self.pick(objects, number)):
            return
        hit: Place = (picked["bucket_name"], picked["storage_path"])
        if number % 2:
            del self.files[hit]
        (run,) = self.call("begin_media_reconcile", "https://project.supabase.co")
        self.call("add_media_listing", run["run_id"], self.describe_files([*self.files], hit))
        for bucket in run["bucket_names"]:
            after: str | None = ""
            while after is not None:
                (answer,) = self.call("compare_media_storage", run["run_id"], bucket, after, 2)
                after = answer["last_path"]
        found = self.call("list_media_differences", run["run_id"], "found", 1000)
        asked = self.describe_files(
            [(row["bucket_name"], row["storage_path"]) for row in found], hit
        )
        confirmed = self.call("confirm_media_differences", run["run_id"], asked)
        assert len(confirmed) == len(found)
        fixed = self.call("fix_media_differences", run["run_id"], asked)
        assert {row["outcome"] for row in fixed} <= {"removal queued", "queued again"}
        assert [
            (row["bucket_name"], row["storage_path"])
            for row in fixed
            if row["difference"] != "orphan"
        ] == [hit]
        self.call("end_media_reconcile", run["run_id"])

    def describe_files(self, places: list[Place], cut: Place) -> str:
        """What storage says of these places, and when asked: its files are old, one is cut off."""
        return json.dumps(
            [
                {
                    "bucket_name": bucket,
                    "storage_path": path,
                    "is_there": (bucket, path) in self.files,
                    "file_size": 1 if (bucket, path) == cut else None,
                    "created_at": "2026-01-01",
                }
                for bucket, path in places
            ]
        )

    def resume_sources(self) -> None:
        for scope in SCOPES:
            self.call("resume_media_source", scope)

    # Pollers.

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

    def pick(self, among: list[Item], number: int) -> Item | None:
        return among[number % len(among)] if among else None

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
        self.call("discard_media_upload", *job.place)
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

    def is_reserved(self, object_id: UUID | None) -> bool:
        return bool(
            self.rows("select from media_objects where id = %s and state <> 'deleting'", object_id)
        )

    # Pollers that remove files.

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

    def fail_removal(self, number: int, http_status: int) -> None:
        if removal := self.pick(self.open_removals, number):
            removal.over = True
            self.call(
                "fail_media_deletions", removal.poller, [removal.id], [removal.token],
                None, http_status, None, "it failed",
            )  # fmt: skip

    # Time, and what looks after the rest.

    def pass_time(self, event: str) -> None:
        if event == "due times come":
            self.make_due()
        elif event == "an hour passes":
            self.make_due()
            self.run("update media_pauses set until = until - interval '1 hour'")
            self.run(
                "update media_sources"
                " set refused_at = array(select r - interval '1 hour' from unnest(refused_at) r)"
            )
        elif event == "rescue":
            self.call("rescue_media_jobs", 2)
        else:
            self.call("run_media_maintenance")

    def end_leases(self, poller: str) -> None:
        for table in ("media_processing_queue", "media_deletion_queue"):
            self.run(
                f"update {table} set lease_until = now() - interval '1 s' where claimed_by = %s",
                poller,
            )

    def make_due(self) -> None:
        for table in ("media_processing_queue", "media_deletion_queue"):
            self.run(f"update {table} set due_at = queued_at - interval '1 hour'")

    # Rules say best what went wrong, but many calls by chance come further.

    def call_by_chance(self, chance: random.Random, calls: int) -> None:
        def number() -> int:
            return chance.randrange(1000)

        for name in chance.choices(list(OFTEN), weights=list(OFTEN.values()), k=calls):
            poller, limit = chance.choice(["one", "two"]), chance.randint(1, 5)
            arguments: dict[str, Any] = {
                "queue": {"attachments": [(
                    chance.randrange(4), chance.choice("abcd"), chance.choice(SENT),
                    chance.choice(HINTS), chance.choice([1, 5]),
                )]},
                "claim": {"poller": poller, "limit": limit},
                "work": {"numbers": [number()]},
                "trouble": {
                    "number": number(), "what": chance.choice(TROUBLES),
                    "received": chance.choice([PHOTO, PAGE, HUGE]),
                },
                "happen": {"number": number(), "what": chance.choice([*OPERATIONS, *EVENTS])},
                "remove": {
                    "poller": poller, "limit": limit, "numbers": [number()],
                    "http_status": chance.choice([None, None, None, 500, 503]),
                },
            }[name]  # fmt: skip
            note(f"{name}({arguments})")
            getattr(self, name)(**arguments)
            self.holds_together()

    # What holds after every step.

    @invariant()
    def holds_together(self) -> None:
        if self.checked:
            return
        assert self.rows(VIOLATIONS) == []
        self.follow_the_trails()
        self.check_tokens()
        self.check_files()
        self.checked = True

    def check_tokens(self) -> None:
        for row in self.rows(
            "select id, fencing_token from media_processing_queue"
            " union all select id, fencing_token from media_deletion_queue"
        ):
            assert row["fencing_token"] >= self.tokens.get(row["id"], 0), "a fencing token fell"
            self.tokens[row["id"]] = row["fencing_token"]

    def check_files(self) -> None:
        """What is stored is in storage, with the right bytes."""
        for row in self.rows(
            "select bucket_name, storage_path, content_hash from media_objects"
            " where state = 'stored'"
        ):
            assert self.files.get((row["bucket_name"], row["storage_path"])) == row["content_hash"]

    def follow_the_trails(self) -> None:
        """Every trail is a legal story that ends where the attachment is; the analytics add up."""
        present = {
            row["id"]: row
            for row in self.rows(
                "select m.id, media_state(m.processed, q.status, m.failure_code) as state,"
                " coalesce(m.media_type, 'unknown') as media_type, m.file_size, m.object_id"
                " from media m left join media_processing_queue q on q.id = m.id"
            )
        }
        objects = self.rows("select id, file_size from media_objects where file_size is not null")
        self.sizes |= {row["id"]: row["file_size"] for row in objects}
        for media, row in present.items():
            trail = self.trails.setdefault(media, Trail())
            trail.media_type = row["media_type"]
            trail.deleted_bytes = row["file_size"] if row["object_id"] else 0
        for row in self.rows(
            "select * from media_audit_log where id > %s order by id", self.last_event
        ):
            self.last_event = row["id"]
            if row["media_id"] == UUID(int=0) or row["event"] == "file removed":
                continue  # of no attachment: a setting, a pause, a file
            trail = self.trails[row["media_id"]]
            trail.events.append(row["event"])
            assert row["event"] in TRAIL[trail.state], trail.events
            trail.state = TRAIL[trail.state][row["event"]]
            self.count(row["event"], trail, row["detail"])
        for media, trail in self.trails.items():
            assert trail.state == (present[media]["state"] if media in present else "deleted"), (
                trail.events
            )
        assert set(present) == set(self.queued.values())
        counted = {
            row.pop("media_type"): {name: n for name, n in row.items() if n}
            for row in self.rows(LEDGER)
        }
        assert {name: of for name, of in counted.items() if of} == self.ledger
        (drift,) = self.rows(
            "select (select count(*) from media where object_id is not null)"
            " - (select coalesce(sum(stored_files), 0) from list_media_totals()) as files,"
            " (select coalesce(sum(file_size), 0) from media where object_id is not null)"
            " - (select coalesce(sum(stored_bytes), 0) from list_media_totals()) as bytes"
        )
        assert (drift["files"], drift["bytes"]) == (0, 0)

    def count(self, event: str, trail: Trail, detail: dict[str, Any] | None) -> None:
        lost = event in ("file missing", "file differs")
        if not lost and event not in ("stored", "deduplicated", "failed", "deleted"):
            return
        counts = self.ledger.setdefault(trail.media_type, Counter())
        if event == "deleted":
            counts += Counter(deleted_files=1, deleted_bytes=trail.deleted_bytes)
        elif event == "failed":
            counts += Counter(failed_files=1)
        else:
            assert detail
            size = self.sizes[UUID(detail["object_id"])]
            if lost:
                counts += Counter(lost_files=1, lost_bytes=size)
            elif event == "stored":
                counts += Counter(total_files=1, total_size_bytes=size, unique_files=1)
            else:
                counts += Counter(
                    total_files=1, total_size_bytes=size, deduplicated_files=1, saved_bytes=size
                )
        self.ledger[trail.media_type] = counts

    # The end: faults are over.

    def teardown(self) -> None:
        if not self.checked:  # it has failed
            return
        for job in self.jobs:  # whoever has uploaded says so, or sees that it goes
            while job.stage in ("uploaded", "lost"):
                self.step(job)
        for _ in self.rounds():
            for row in self.call("claim_media_jobs", "good", 10):
                job = Job(row["id"], "good", row["fencing_token"])
                while job.stage != "over":
                    self.step(job)
                self.holds_together()
            if not self.rows(
                "select from media_processing_queue where status not in ('failed', 'cancelled')"
            ):
                break
        for _ in self.rounds():
            self.claim_deletions("good", 10)
            for removal in self.open_removals:
                self.files.pop(removal.place, None)
                self.finish_removal(removal)
            self.holds_together()
            if not self.rows("select from media_deletion_queue"):
                break
        stored = self.rows(
            "select bucket_name, storage_path, content_hash, state from media_objects"
        )
        assert {row["state"] for row in stored} <= {"stored"}
        assert self.files == {
            (row["bucket_name"], row["storage_path"]): row["content_hash"] for row in stored
        }

    def rounds(self) -> Iterator[None]:
        """Enough rounds for all there is to do; in each, whatever had to be waited for has come."""
        for _ in range(30):
            self.resume_sources()
            self.run("delete from media_pauses")
            for poller in ("one", "two", "good"):
                self.end_leases(poller)
            self.make_due()
            yield
        pytest.fail("something waits for ever")


@pytest.mark.timeout(7200 if THOROUGH else 600)  # a failure takes minutes to shrink
def test_the_queue_keeps_its_promises(database: str) -> None:
    with Connection.connect(database, autocommit=True, row_factory=dict_row) as db:
        db.execute(PREPARE.encode())
        run_state_machine_as_test(lambda: Queue(db), settings=PROFILE)  # pyright: ignore[reportArgumentType]
