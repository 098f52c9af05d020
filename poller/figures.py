"""Figures in words, for what people read: times, paces, and what went wrong at the webhook."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from poller.text import counted

STEPS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def webhook_lines(webhook: dict[str, Any]) -> list[str]:
    """What was refused and what could not be used, a line each; none if all is well.

    `webhook`: as in get_media_storage_stats.
    """
    lines: list[str] = []
    if refusals := webhook["refusals"]:
        calls = counted(sum(refusals.values()), "call")
        lines.append(f"{calls} refused since yesterday: {_counts(refusals)}")
    if errors := webhook["errors"]:
        calls = counted(webhook["calls_with_errors"], "call")
        lines.append(f"{calls} with errors since yesterday: {_counts(errors)}")
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


class Pace:
    """How fast something goes: since it was made, and of about so many if that is known."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def words(self, done: int, total: int | None, doing: str) -> str:
        """1,200 of 20,000 messages read, 120/s, 3 min left."""
        of = f" of {total:,}" if total and total >= done else ""
        rate = done / max(time.monotonic() - self._began, 1e-3)
        left = f", {span((total - done) / rate)} left" if total and rate and done < total else ""
        return f"{done:,}{of} {doing}, {rate:,.0f}/s{left}"


def since(earlier: datetime, later: datetime) -> str:
    return span((later - earlier).total_seconds())


def span(seconds: float, smallest: float = 0) -> str:
    """A length of time in its largest unit: 42 s, 5 min, 3 h, 2 d.

    Below `smallest` seconds, in milliseconds.
    """
    if seconds < smallest:
        return f"{seconds * 1000:.0f} ms"
    for unit, length in STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"
