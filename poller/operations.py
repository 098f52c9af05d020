"""Every SQL call of the commands for operators: one method per database function."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

UNKNOWN_MEDIA = "MD016"


class Operations:
    """A connection, in a role that may do what is asked of it: media_client or media_admin."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, dsn: str, command: str) -> AsyncGenerator[Operations]:
        """Connect for one command. Raises one of poller.db.DATABASE_AWAY, or a refused login."""
        connection = await asyncpg.connect(
            dsn, timeout=10, command_timeout=60, statement_cache_size=0,
            server_settings={"application_name": f"pgmedia {command}"},
        )  # fmt: skip
        try:
            yield cls(connection)
        finally:
            connection.terminate()

    async def storage_stats(self) -> dict[str, Any]:
        """What get_media_storage_stats answers; its comment says what is in it."""
        return json.loads(await self._value("select public.get_media_storage_stats()"))

    async def media_status(self, media_id: UUID) -> dict[str, Any] | None:
        """The row of get_media_status; None for a media id that does not exist, or no longer."""
        try:
            row = await self._connection.fetchrow(
                "select * from public.get_media_status($1)", media_id
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == UNKNOWN_MEDIA:
                return None
            raise
        return dict(row) if row else None

    async def audit_trail(self, media_id: UUID) -> list[dict[str, Any]]:
        """The events of an attachment, oldest first: at, event, poller, attempt, detail."""
        rows = await self._connection.fetch(
            "select * from public.get_media_audit_trail($1)", media_id
        )
        return [{**row, "detail": json.loads(row["detail"] or "null")} for row in rows]

    async def retry(self, media_id: UUID) -> bool:
        """Queue a failed or cancelled attachment again; False when it is neither."""
        return await self._value("select public.retry_media($1)", media_id)

    async def retry_failed(
        self, code: str | None, since: timedelta | None, at_most: int, *, dry_run: bool
    ) -> int:
        """Queue what failed again; returns how many. With `dry_run` it is taken back at once."""
        transaction = self._connection.transaction()
        await transaction.start()
        count: int = await self._value(
            "select public.retry_failed_media("
            "code => $1, since => now() - $2::interval, at_most => $3)",
            code, since, at_most,
        )  # fmt: skip
        await (transaction.rollback() if dry_run else transaction.commit())
        return count

    async def cancel(self, media_id: UUID) -> bool:
        """Stop work on an attachment; False when there was none."""
        return await self._value("select public.cancel_media($1)", media_id)

    async def pause(self, scope: str, reason: str | None, pause_for: timedelta | None) -> datetime:
        """Pause a source, by default for as long and for what the function says; until when."""
        named = {"scope": scope, "reason": reason, "pause_for": pause_for}
        given = {name: value for name, value in named.items() if value is not None}
        arguments = ", ".join(f"{name} => ${number}" for number, name in enumerate(given, 1))
        call = f"select public.pause_media_source({arguments})"
        return await self._value(call, *given.values())

    async def resume(self, scope: str) -> bool:
        """Lift a pause; False when there was none."""
        return await self._value("select public.resume_media_source($1)", scope)

    async def _value(self, call: str, *arguments: object) -> Any:
        return await self._connection.fetchval(call, *arguments)
