"""Short words for the tests of maintenance."""

from __future__ import annotations

import json
from typing import Any

NOTHING = {
    "rescued_jobs": 0,
    "dropped_reservations": 0,
    "folded_deltas": 0,
    "forgotten_pollers": 0,
    "pruned_dead_letters": 0,
    "pruned_unheard_requests": 0,
    "pruned_webhook_events": 0,
    "pruned_webhook_refusals": 0,
    "pruned_tombstones": 0,
    "pruned_quarantine": 0,
    "pruned_audit_events": 0,
    "pruned_minutes": 0,
    "pruned_cron_runs": 0,
    "forgotten_cleanups": 0,
    "cleaned_media": 0,
}


async def maintain(db: Any, call: str = "run_media_maintenance()") -> dict[str, Any]:
    done = json.loads(await db.fetchval(f"select {call}"))
    done.pop("milliseconds", None)
    return done


async def set_clean_up(db: Any, started: str, days: int | None = 30) -> None:
    """A daily cleanup that begins at this time of today (UTC)."""
    await db.execute(f"update media_settings set cleanup_days = $1, cleanup_at = {started}", days)
