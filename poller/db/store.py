"""The calls about the store as a whole, and the webhook's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from poller.db.pool import DATABASE_AWAY, DatabaseError, Pool
from poller.records import BucketPolicy, UrlPolicy

WEBHOOK_WAIT_SECONDS = 3.0
"""How long a webhook call may wait for a connection: as long as it then may for a lock."""

# What Postgres says of a text that is not JSON, or not even text.
NOT_JSON = (asyncpg.InvalidTextRepresentationError, asyncpg.CharacterNotInRepertoireError)

MAY_RECEIVE = """
    select f.id is not null, coalesce(has_function_privilege(f.id, 'execute'), false)
    from to_regprocedure('public.receive_whatsapp_webhook(json)') f (id)
"""


class UnreadableError(Exception):
    """The body of a webhook call is not JSON (`not_json`), or nested past Postgres (`too_deep`)."""


class Store(Pool):
    """Buckets, URLs, figures, and what Meta sends."""

    async def bucket_policy(self) -> list[BucketPolicy]:
        rows = await self._rows("select * from public.get_media_bucket_policy()")
        return [BucketPolicy(**row) for row in rows]

    async def set_project_url(self, project_url: str) -> int:
        """Returns how many public URLs were rebuilt."""
        return await self._value("select public.set_media_project_url($1)", project_url)

    async def project_url(self) -> str | None:
        return await self._value("select public.get_media_project_url()")

    async def url_policy(
        self, media_id: UUID, expires_in: timedelta | None, download: bool
    ) -> UrlPolicy:
        """How to hand out a stored file; see the function for its errors."""
        (row,) = await self._rows(
            "select * from public.get_media_url_policy($1, $2, $3)", media_id, expires_in, download
        )
        return UrlPolicy(**row)

    async def touch(self, media_id: UUID) -> bool:
        """Record an access to an attachment; False when there is none of that id."""
        return await self._value("select public.touch_media($1)", media_id)

    async def storage_stats(self) -> dict[str, Any]:
        return json.loads(await self._value("select public.get_media_storage_stats()"))

    async def schema(self) -> set[str]:
        """What the database holds of pgmedia, a line each."""
        return {row[0] for row in await self._rows("select public.describe_media_schema()")}

    async def check_receiving(self) -> None:
        """Raises asyncpg's errors, as a webhook call would: no such function, or not for it."""
        there, allowed = (await self._rows(MAY_RECEIVE))[0]
        name = "receive_whatsapp_webhook"
        if not there:
            raise asyncpg.UndefinedFunctionError(f"function public.{name}(json) does not exist")
        if not allowed:
            raise asyncpg.InsufficientPrivilegeError(f"permission denied for function {name}")

    async def receive_webhook(self, body: bytes) -> str:
        """Store a webhook call; returns the summary, as JSON.

        Raises UnreadableError, which is counted, and DatabaseError, which says the kind of the
        error and its SQLSTATE, and no more. Postgres alone decides what is
        JSON, so a body is parsed once.
        """
        try:
            try:
                call = "select public.receive_whatsapp_webhook($1)"
                return await self._value(call, body.decode(), wait=WEBHOOK_WAIT_SECONDS)
            except (*NOT_JSON, UnicodeDecodeError):
                reason = "not_json"
            except asyncpg.StatementTooComplexError:
                reason = "too_deep"
            call = "select public.count_webhook_refusal($1)"
            await self._value(call, reason, wait=WEBHOOK_WAIT_SECONDS)
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise DatabaseError(_kind_of(error)) from error
        raise UnreadableError(reason)


def _kind_of(error: BaseException) -> str:
    """An error without its words, which may quote a message."""
    code = f" ({error.sqlstate})" if isinstance(error, asyncpg.PostgresError) else ""
    return type(error).__name__ + code
