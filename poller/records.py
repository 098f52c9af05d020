"""What the database functions take and answer, as typed records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

MOST_BYTES = 2**63


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed attachment. (id, poller, fencing_token) goes with every later call about it.

    `waited_seconds`: from when it was due to the claim.
    """

    id: UUID
    fencing_token: int
    attempt: int
    whatsapp_media_id: str
    phone_number_id: str | None
    source_url: str | None
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class SourceVerdict:
    """What to do with a file before its download."""

    verdict: Literal["download", "deduplicated", "joined", "rejected"]
    reason: str | None
    max_bytes: int


@dataclass(frozen=True, slots=True)
class UploadVerdict:
    """What to do with received bytes.

    For "encode", what to make of them first; for "upload", which of the bytes in hand go where, by
    their SHA-256, and with which headers; for "quarantine", where the received ones go.
    """

    verdict: Literal[
        "upload", "encode", "deduplicated", "joined", "rejected", "quarantine",
        "retry", "paused", "failed",
    ]  # fmt: skip
    reason: str | None
    object_id: UUID | None
    bucket_name: str | None
    storage_path: str | None
    content_type: str | None
    cache_control: str | None
    stored_hash: str | None
    encoding: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, as the provider said it; SQL decides what it means."""

    source: Literal["whatsapp", "storage", "poller"]
    text: str
    provider_code: str | None = None
    http_status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class FailureVerdict:
    verdict: Literal["retry", "failed", "paused"]
    failure_code: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """A claimed file to remove from storage."""

    id: UUID
    fencing_token: int
    bucket_name: str
    storage_path: str


@dataclass(frozen=True, slots=True)
class BucketPolicy:
    """What a bucket must be; file_size_limit in bytes."""

    bucket_name: str
    is_public: bool
    file_size_limit: int
    mime_types: list[str]


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """How a stored file is to be handed out: by its public URL, or signed for expires_seconds.

    attachment_name is None when a browser may show the file.
    """

    media_id: UUID
    bucket_name: str
    storage_path: str
    public_url: str | None
    expires_seconds: int | None
    attachment_name: str | None


@dataclass(frozen=True, slots=True)
class ReconcileRun:
    """A comparison of storage with the rows. `from_tables`: the database has storage's own."""

    run_id: UUID
    bucket_names: list[str]
    from_tables: bool


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What storage says of a path; size in bytes. Unless `is_there`, nothing else.

    `is_there` is None when it did not say, for `problem`.
    """

    bucket_name: str
    storage_path: str
    is_there: bool | None
    file_size: int | None = None
    mime_type: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    problem: str | None = None

    @classmethod
    def read(
        cls, bucket: str, path: str, size: object, mime_type: object, created: object,
        updated: object,
    ) -> Self:  # fmt: skip
        """A file that is there, by an answer of storage. Raises ValueError if it is none."""
        if size is not None and not (type(size) is int and 0 <= size < MOST_BYTES):
            raise ValueError(size)
        if mime_type is not None and not (isinstance(mime_type, str) and mime_type.isprintable()):
            raise ValueError(mime_type)
        if b"\0" in path.encode():  # UnicodeEncodeError for half a character: neither is a text
            raise ValueError(path)
        return cls(bucket, path, True, size, mime_type, _time(created), _time(updated))


@dataclass(frozen=True, slots=True)
class Difference:
    """A file without a row (orphan), a row without its file (missing), or one that differs.

    Expected is what the row says; sizes in bytes. So many attachments refer to the file.
    """

    difference: Literal["orphan", "missing", "differs"]
    bucket_name: str
    storage_path: str
    expected_size: int | None
    expected_type: str | None
    file_size: int | None
    mime_type: str | None
    changed_at: datetime | None
    attachments: int


@dataclass(frozen=True, slots=True)
class Fix:
    """What was done about a difference: so many attachments were queued again.

    `expired` of them failed at once, as WhatsApp no longer has them.
    """

    difference: Literal["orphan", "missing", "differs"]
    bucket_name: str
    storage_path: str
    outcome: Literal[
        "removal queued", "queued again", "changed meanwhile", "storage did not say",
        "in use, try again",
    ]  # fmt: skip
    attachments: int | None
    expired: int | None

    @property
    def done(self) -> bool:
        return self.outcome in ("removal queued", "queued again")


@dataclass(frozen=True, slots=True)
class MediaCleanup:
    """What a call of run_media_cleanup deleted, and its pass so far could not delete."""

    attachments: int
    is_finished: bool
    locked: int
    refused: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class MissingMedia:
    """What a call of queue_missing_media found; `reached` is where the next one goes on.

    `messages`: about how many there are in all, 0 when nobody knows.
    """

    queued: int
    failed: int
    expired: int
    deleted: int
    unusable: int
    looked_at: int
    messages: int
    reached: UUID | None
    is_finished: bool


@dataclass(frozen=True, slots=True)
class MediaSetting:
    """A setting in the database, as text; None where it is not set or has no default."""

    name: str
    value: str | None
    default_value: str | None
    meaning: str


def _time(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004
    return datetime.fromisoformat(value)
