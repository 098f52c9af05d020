"""The calls about the end of media, its schedule, and the settings in the database."""

from __future__ import annotations

import json
from datetime import time
from typing import Any
from uuid import UUID

from poller.db.pool import Pool
from poller.records import MediaCleanup, MediaSetting


class Lifecycle(Pool):
    """For media_admin."""

    async def clean_up(
        self, days_old: int, media_types: list[str] | None, keep_days: int | None, *, dry_run: bool
    ) -> MediaCleanup:
        """One bounded call."""
        (row,) = await self._rows(
            "select * from public.run_media_cleanup($1, $2, $3, $4)",
            days_old, media_types, keep_days, dry_run,
        )  # fmt: skip
        return MediaCleanup(**row)

    async def hold_media(self, media_id: UUID, reason: str, *, dry_run: bool) -> None:
        """Keep an attachment from every deletion."""
        call = "select public.hold_media($1, $2)"
        await self._tried(call, media_id, reason, dry_run=dry_run)

    async def release_media_hold(self, media_id: UUID, *, dry_run: bool) -> bool:
        """End the hold on an attachment; False when it was not held."""
        return await self._tried("select public.release_media_hold($1)", media_id, dry_run=dry_run)

    async def delete_media(self, media_id: UUID, *, dry_run: bool) -> bool:
        """Delete an attachment; False when there is none of that id."""
        return await self._tried("select public.delete_media($1)", media_id, dry_run=dry_run)

    async def schedule(
        self,
        cleanup_days: int | None,
        cleanup_at: time | None,
        keep_days: int | None,
        *,
        dry_run: bool,
    ) -> dict[str, Any]:
        """Let pg_cron run maintenance; returns what is set."""
        call = "select public.schedule_media_maintenance($1, $2, $3)"
        answer = await self._tried(call, cleanup_days, cleanup_at, keep_days, dry_run=dry_run)
        return json.loads(answer)

    async def unschedule(self, *, dry_run: bool) -> bool:
        """Take the schedule back; False when pg_cron had no job."""
        call = "select public.unschedule_media_maintenance()"
        return await self._tried(call, dry_run=dry_run)

    async def media_settings(self) -> list[MediaSetting]:
        return [
            MediaSetting(**row)
            for row in await self._rows("select * from public.get_media_settings()")
        ]

    async def set_media_setting(self, name: str, value: str | None, *, dry_run: bool) -> str | None:
        """None: back to the default. Returns the value that it has then."""
        call = "select public.set_media_setting($1, $2)"
        return await self._tried(call, name, value, dry_run=dry_run)
