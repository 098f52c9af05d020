"""pgmedia from Python, for those who would rather not write SQL: each call is one SQL function.

    async with await MediaClient.connect(dsn) as media:
        result = await media.process_media(message_id, "1003383421387256", wait=30)

A client works on a pool, or on a connection in whose transaction its calls then take part. It needs
no more rights than the role media_client; `delete_media` needs media_admin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, Self
from uuid import UUID

import asyncpg

from poller.db.client import ClientCalls, Connection, QueueArguments
from poller.media import MediaStatus, MessageMedia, Status, StoredObject

__all__ = [
    "HeldError",
    "InvalidMediaError",
    "MediaClient",
    "MediaError",
    "MediaStatus",
    "MessageMedia",
    "Status",
    "StoredObject",
    "UnknownMediaError",
    "UnknownMessageError",
]

MediaType = Literal["image", "audio", "video", "document", "sticker"]
SETTLED = {"stored", "failed", "cancelled"}
FIRST_LOOK_SECONDS, LONGEST_WAIT_SECONDS = 0.05, 1.0
"""Waits between looks at an attachment that is waited for; each is half as long again."""


class MediaError(Exception):
    """What a function of pgmedia refused.

    `sqlstate`: MDxxx, as in the documentation; `hint`: what to do.
    """

    def __init__(self, error: asyncpg.PostgresError) -> None:
        super().__init__(str(error.args[0]))
        self.sqlstate: str = str(error.sqlstate)
        self.hint: str | None = error.hint


class UnknownMessageError(MediaError):
    """MD010: there is no such row of messages."""


class UnknownMediaError(MediaError):
    """MD016: no attachment has this id."""


class HeldError(MediaError):
    """MD021: held media is not deleted."""


class InvalidMediaError(MediaError, ValueError):
    """MD011 to MD015: an argument that cannot be used; the message names the value."""


ERRORS: dict[str, type[MediaError]] = {
    "MD010": UnknownMessageError,
    "MD016": UnknownMediaError,
    "MD021": HeldError,
    **dict.fromkeys(("MD011", "MD012", "MD013", "MD014", "MD015"), InvalidMediaError),
}


class MediaClient:
    """The four calls. Safe to use from many tasks at once if it works on a pool."""

    def __init__(self, connection: Connection) -> None:
        """Work on a pool or a connection of the caller's, who closes it."""
        self._calls = ClientCalls(connection)
        self._own_pool: asyncpg.Pool[Any] | None = None

    @classmethod
    async def connect(cls, dsn: str, *, connections: int = 4) -> Self:
        """Work on a pool of its own, which `close` closes.

        It works behind a transaction pooler too.
        """
        pool = await asyncpg.create_pool(
            dsn, min_size=0, max_size=connections, timeout=10, command_timeout=60,
            statement_cache_size=0, server_settings={"application_name": "pgmedia client"},
        )  # fmt: skip
        client = cls(pool)
        client._own_pool = pool
        return client

    async def process_media(
        self,
        message_id: UUID,
        whatsapp_media_id: str,
        *,
        media_type: MediaType | None = None,
        mime_type: str | None = None,
        file_name: str | None = None,
        caption: str | None = None,
        file_size: int | None = None,
        sha256: str | None = None,
        priority: int = 5,
        wait: float = 0,
    ) -> MediaStatus:
        """Queue an attachment, and wait up to so many seconds until it is stored or has failed.

        `file_size` in bytes, `sha256` in hex or base64, `priority` 1 (first) to 10. Repeats change
        nothing. Answers how far it is, so with `wait` too it may be `pending`, `processing` or
        `waiting`. No connection is held while it waits. Inside of a transaction nobody can work on
        the attachment before its commit: to wait there is a ValueError.

        Raises UnknownMessageError, InvalidMediaError; UnknownMediaError when somebody deletes it
        meanwhile.
        """
        if wait and self._calls.in_transaction:
            raise ValueError("wait: no poller sees the attachment before this transaction commits")
        arguments = QueueArguments(
            message_id, whatsapp_media_id, media_type, mime_type, file_name, caption, file_size,
            sha256, priority,
        )  # fmt: skip
        async with _typed_errors():
            media_id = await self._calls.queue(arguments)
            found = await self._calls.status(media_id)
            if wait > 0 and found.status not in SETTLED:
                found = await self._settled(found, wait)
        return found

    async def check_media_exists(self, content_hash: str) -> list[StoredObject]:
        """The stored files of this SHA-256 (hex or base64): none, one, or a public and a private
        one. Raises InvalidMediaError.
        """
        async with _typed_errors():
            return await self._calls.exists(content_hash)

    async def get_media_by_message(self, message_id: UUID) -> list[MessageMedia]:
        """The attachments of a message, in the order they were queued."""
        async with _typed_errors():
            return await self._calls.by_message(message_id)

    async def delete_media(self, media_id: UUID) -> bool:
        """Delete an attachment; its file goes with the last use of its content.

        False when there is none of this id. Raises HeldError.
        """
        async with _typed_errors():
            return await self._calls.delete(media_id)

    async def close(self) -> None:
        """Close the client's own pool; what it was given stays open."""
        if self._own_pool is not None:
            await self._own_pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _settled(self, found: MediaStatus, seconds: float) -> MediaStatus:
        """Look again and again, less and less often: pollers notify of work, not of its end."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + seconds, FIRST_LOOK_SECONDS
        while found.status not in SETTLED and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_WAIT_SECONDS)
            found = await self._calls.status(found.media_id)
        return found


@asynccontextmanager
async def _typed_errors() -> AsyncGenerator[None]:
    """pgmedia's own errors as MediaError; every other stays asyncpg's."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if not str(error.sqlstate).startswith("MD"):
            raise
        raise ERRORS.get(str(error.sqlstate), MediaError)(error) from error
