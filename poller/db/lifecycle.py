"""The calls about the end of media, its schedule, and the settings in the database."""

from __future__ import annotations

import json
from datetime import time
from typing import Any

from poller.db.pool import Pool
from poller.records import MediaSetting


class Lifecycle(Pool):
    """For media_admin."""

    async def clean_up(
        self, days_old: int, media_types: list[str] | None, keep_days: int | None, *, dry_run: bool
    ) -> int:
        """One bounded call; returns how many attachments went, or would go."""
        return await self._value(
            "select public.cleanup_old_media($1, $2, $3, $4)",
            days_old, media_types, keep_days, dry_run,
        )  # fmt: skip

    async def schedule(
        self, cleanup_days: int | None, cleanup_at: time | None, keep_days: int | None
    ) -> dict[str, Any]:
        """Let pg_cron run maintenance; returns what is set."""
        call = "select public.schedule_media_maintenance($1, $2, $3)"
        return json.loads(await self._value(call, cleanup_days, cleanup_at, keep_days))

    async def unschedule(self) -> bool:
        """Take the schedule back; False when pg_cron had no job."""
        return await self._value("select public.unschedule_media_maintenance()")

    async def media_settings(self) -> list[MediaSetting]:
        return [
            MediaSetting(**row)
            for row in await self._rows("select * from public.get_media_settings()")
        ]

    async def set_media_setting(self, name: str, value: str | None) -> str | None:
        """None: back to the default. Returns the value that it has then."""
        return await self._value("select public.set_media_setting($1, $2)", name, value)
