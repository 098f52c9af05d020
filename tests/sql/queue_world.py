"""What may be sent to the queue, go wrong and happen, and what the model remembers of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from hypothesis import strategies as st

from tests.helpers import sha256
from tests.sql.queue_invariants import TABLES

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
    "pause", "resume", "lose", "lose", "hold", "touch", "clean up", "queue again",
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
    "late answer",
]
EVENTS = ["an hour passes", "an hour passes", "an hour passes", "due times come", "rescue", "fold"]
OFTEN = {
    "queue": 3, "claim": 2, "work": 9, "work_together": 2, "trouble": 4, "happen": 2, "remove": 2,
}  # fmt: skip
TROUBLES = [*FAILURES, *INTERRUPTIONS, *OUT_OF_TURN]
