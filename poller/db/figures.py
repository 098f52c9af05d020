"""The calls of reports, which media_reader may make."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from poller.db.pool import Pool


class Figures(Pool):
    """Rows of the views for dashboards; get_media_storage_stats is in Store."""

    async def daily_report(self, since: date) -> list[dict[str, Any]]:
        """Rows of media_daily_report from that day (UTC) on, by date and media type."""
        call = (
            "select date, media_type, files, bytes, unique_files, deduplicated_files, saved_bytes,"
            " failed_files, grown_bytes, p50_ms, p95_ms"
            " from public.media_daily_report where date >= $1 order by date, media_type"
        )
        return [dict(row) for row in await self._rows(call, since)]

    async def failures(self, since: datetime) -> list[dict[str, Any]]:
        """What has failed since then and still waits for somebody, the commonest reason first."""
        call = (
            "select failure_code, sum(files)::bigint as files, max(last_at) as last_at,"
            " (array_agg(last_text order by last_at desc))[1] as last_text,"
            " max(meaning) as meaning, json_object_agg(media_type, files) as by_type"
            " from public.media_failures where last_at >= $1"
            " group by failure_code order by files desc, failure_code"
        )
        rows = await self._rows(call, since)
        return [dict(row) | {"by_type": json.loads(row["by_type"])} for row in rows]
