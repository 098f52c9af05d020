"""What the database tells a client of media, as typed records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

Status: TypeAlias = Literal["pending", "processing", "waiting", "stored", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class MediaStatus:
    """Where an attachment is. The error is that of the last attempt.

    Attempts, `due_at` and `poller` are None once the work has left the queue.
    """

    media_id: UUID
    status: Status
    attempts: int | None
    max_attempts: int | None
    due_at: datetime | None
    poller: str | None
    bucket_name: str | None
    storage_path: str | None
    public_url: str | None
    error_code: str | None
    error_text: str | None
    processed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored file; file_size in bytes. `public_url` is None where the bucket is private."""

    object_id: UUID
    bucket_name: str
    storage_path: str
    public_url: str | None
    mime_type: str
    file_size: int
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class MessageMedia:
    """An attachment of a message; file_size in bytes, content_hash SHA-256 in hex."""

    id: UUID
    whatsapp_media_id: str
    media_type: str | None
    mime_type: str | None
    file_name: str | None
    caption: str | None
    file_size: int | None
    content_hash: str | None
    status: Status
    bucket_name: str | None
    storage_path: str | None
    public_url: str | None
    processed_at: datetime | None
    failure_code: str | None
    failure_text: str | None
