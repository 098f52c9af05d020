"""The calls of poller.client, on a pool or connection that may be an application's own."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, TypeAlias, cast
from uuid import UUID

import asyncpg

from poller.media import MediaStatus, MessageMedia, StoredObject

Connection: TypeAlias = (
    "asyncpg.Pool[Any] | asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"
)
"""A pool, a connection, or one that a pool has lent."""

# By name, so that a function of a newer version may answer more.
STATUS = (
    "select media_id, status, attempts, max_attempts, due_at, poller, bucket_name, storage_path,"
    " public_url, error_code, error_text, processed_at from public.get_media_status($1)"
)
EXISTS = (
    "select object_id, bucket_name, storage_path, public_url, mime_type, file_size, stored_at"
    " from public.check_media_exists($1)"
)
BY_MESSAGE = (
    "select id, whatsapp_media_id, media_type, mime_type, file_name, caption, file_size,"
    " content_hash, status, bucket_name, storage_path, public_url, processed_at, failure_code,"
    " failure_text from public.get_media_by_message($1)"
)


@dataclass(frozen=True, slots=True)
class QueueArguments:
    """Those of queue_media_processing, in its order."""

    message_id: UUID
    whatsapp_media_id: str
    media_type: str | None
    mime_type: str | None
    file_name: str | None
    caption: str | None
    file_size: int | None
    sha256: str | None
    priority: int


class ClientCalls:
    """One method per function."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Any = connection

    @property
    def in_transaction(self) -> bool:
        """Is this a connection in the middle of a transaction?"""
        asked = getattr(self._connection, "is_in_transaction", None)  # a pool has none
        return asked is not None and cast("bool", asked())

    async def queue(self, arguments: QueueArguments) -> UUID:
        call = "select public.queue_media_processing($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        return await self._connection.fetchval(call, *astuple(arguments))

    async def status(self, media_id: UUID) -> MediaStatus:
        return MediaStatus(**await self._connection.fetchrow(STATUS, media_id))

    async def exists(self, content_hash: str) -> list[StoredObject]:
        return [StoredObject(**row) for row in await self._connection.fetch(EXISTS, content_hash)]

    async def by_message(self, message_id: UUID) -> list[MessageMedia]:
        return [MessageMedia(**row) for row in await self._connection.fetch(BY_MESSAGE, message_id)]

    async def delete(self, media_id: UUID) -> bool:
        return await self._connection.fetchval("select public.delete_media($1)", media_id)
