"""The calls of the commands for operators, who need the role media_admin."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from poller.db.pool import Pool
from poller.records import MissingMedia

UNKNOWN_MEDIA = "MD016"


class Operations(Pool):
    """What a person looks at and does; media_status and audit_trail are for media_client, too."""

    async def media_status(self, media_id: UUID) -> dict[str, Any] | None:
        """The row of get_media_status; None for a media id that does not exist, or no longer."""
        try:
            (row,) = await self._rows("select * from public.get_media_status($1)", media_id)
        except asyncpg.PostgresError as error:
            if error.sqlstate == UNKNOWN_MEDIA:
                return None
            raise
        return dict(row)

    async def explain(self, code: str) -> tuple[str, str] | None:
        """What a failure code means, and what to do; None for one that nobody has explained."""
        rows = await self._rows("select * from public.explain_media_failure($1)", code)
        return (rows[0]["meaning"], rows[0]["advice"]) if rows else None

    async def audit_trail(self, media_id: UUID) -> list[dict[str, Any]]:
        """The events of an attachment, oldest first: at, event, poller, attempt, detail."""
        rows = await self._rows("select * from public.get_media_audit_trail($1)", media_id)
        return [{**row, "detail": json.loads(row["detail"] or "null")} for row in rows]

    async def retry(self, media_id: UUID, *, dry_run: bool) -> bool:
        """Queue a failed or cancelled attachment again; False when it is neither."""
        return await self._tried("select public.retry_media($1)", media_id, dry_run=dry_run)

    async def retry_failed(
        self, code: str | None, since: timedelta | None, at_most: int, *, dry_run: bool
    ) -> int:
        """Queue what failed again; returns how many. With `dry_run` it is taken back at once."""
        call = (
            "select public.retry_failed_media("
            "code => $1, since => now() - $2::interval, at_most => $3)"
        )
        return await self._tried(call, code, since, at_most, dry_run=dry_run)

    async def queue_media(
        self, message_id: UUID, whatsapp_media_id: str, priority: int, *, dry_run: bool
    ) -> UUID:
        """Queue one attachment; its media id."""
        call = "select public.queue_media_processing($1, $2, priority => $3)"
        return await self._tried(call, message_id, whatsapp_media_id, priority, dry_run=dry_run)

    async def queue_missing(
        self, since: timedelta | None, at_most: int, after: UUID | None, *, dry_run: bool
    ) -> MissingMedia:
        """One page of the backfill."""
        call = (
            "select to_json(m) from public.queue_missing_media("
            "since => now() - $1::interval, at_most => $2, after => $3) m"
        )
        answer = json.loads(await self._tried(call, since, at_most, after, dry_run=dry_run))
        reached = answer.pop("reached")
        return MissingMedia(**answer, reached=UUID(reached) if reached else None)

    async def cancel(self, media_id: UUID, *, dry_run: bool) -> bool:
        """Stop work on an attachment; False when there was none."""
        return await self._tried("select public.cancel_media($1)", media_id, dry_run=dry_run)

    async def pause(
        self, scope: str, reason: str | None, pause_for: timedelta | None, *, dry_run: bool
    ) -> datetime:
        """Pause a source, by default for as long and for what the function says; until when."""
        named = {"scope": scope, "reason": reason, "pause_for": pause_for}
        given = {name: value for name, value in named.items() if value is not None}
        arguments = ", ".join(f"{name} => ${number}" for number, name in enumerate(given, 1))
        call = f"select public.pause_media_source({arguments})"
        return await self._tried(call, *given.values(), dry_run=dry_run)

    async def resume(self, scope: str, *, dry_run: bool) -> bool:
        """Lift a pause; False when there was none."""
        return await self._tried("select public.resume_media_source($1)", scope, dry_run=dry_run)
