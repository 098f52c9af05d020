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
        rate = done / max(time.monotonic() - self._began, 1e-3)
        left = (total - done) / rate if total and rate else None
        return pace_words(done, total, doing, rate, left)


def pace_words(
    done: int, total: int | None, doing: str, rate: float | None, left: float | None
) -> str:
    """`rate`: so many a second; `left`: seconds, if that is known."""
    words = f"{done:,}{f' of {total:,}' if total and total >= done else ''} {doing}"
    if rate:
        words += f", {rate:,.0f}/s" if rate >= 1 else f", {rate * 60:,.1f}/min"
    return words + (f", {span(left)} left" if left else "")


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


def plural(count: int, noun: str) -> str:
    """1 file, 2 files, 1.2 M files."""
    return f"{compact(count)} {noun}{'' if count == 1 else 's'}"


def compact(count: int) -> str:
    """A number in at most 6 characters: 12,345, then 123 k, 1.23 M, 12.3 G."""
    if abs(count) < 100_000:
        return f"{count:,}"
    value, units = count / 1000, iter("kMGTPE")
    unit = next(units)
    while abs(value) >= 999.5:
        value, unit = value / 1000, next(units)
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f} {unit}"
