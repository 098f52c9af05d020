"""The figures of a report: what the views and get_media_storage_stats say, by day."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from poller.db import Database
from poller.text import all_plain, plain

DAYS_TO_FORECAST_FROM = 7
"""Fewer whole days, with files on fewer than this many, make no trend."""
DAYS_OF_TREND, DAYS_AHEAD, TIMES_AHEAD = 30, 90, 3
"""The trend is that of at most so many whole days, and is carried on for at most so many, and so
many times as many as it is of.
"""
MOST_BARS, WEEK = 92, 7
"""More days are drawn by the week: so many bars would be a comb."""
UNKNOWN = "unknown"
COUNTED = (
    "files", "bytes", "unique_files", "deduplicated_files", "saved_bytes", "failed_files",
    "grown_bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TypeOfDay:
    """One media type on one day (UTC). Sizes in bytes, times in milliseconds from queued.

    `failed_files`: how often one failed, whatever came of it later. `grown_bytes`: by how much what
    is stored grew.
    """

    day: date
    media_type: str
    files: int
    bytes: int
    unique_files: int
    deduplicated_files: int
    saved_bytes: int
    failed_files: int
    grown_bytes: int
    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Attachments that failed for one reason, and were not queued again since."""

    code: str
    meaning: str
    files: int
    by_type: dict[str, int]
    last_at: datetime
    last_text: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where storage will be if it goes on as it did: a straight line through whole days."""

    bytes_a_day: float
    until: date
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """`days`: every day of the report, the last of them, today, not over yet.

    `stored`: bytes of the attachments that were stored at the end of each day, as they are stored.
    """

    at: datetime
    days: list[date]
    types: list[str]
    rows: list[TypeOfDay]
    reasons: list[Reason]
    stored: list[int]
    forecast: Forecast | None
    stats: dict[str, Any]

    def total(self, figure: str, media_type: str | None = None) -> int:
        return sum(
            getattr(row, figure) for row in self.rows if media_type in (None, row.media_type)
        )

    def failed(self, media_type: str | None = None) -> int:
        """Attachments that failed in these days, and were not queued again since."""
        return sum(
            reason.files if media_type is None else reason.by_type.get(media_type, 0)
            for reason in self.reasons
        )

    def a_day(self, figure: str) -> int:
        """A figure on average, since the first of these days on which there was any."""
        first = min((row.day for row in self.rows), default=self.days[-1])
        return round(self.total(figure) / ((self.days[-1] - first).days + 1))

    def by_day(self, figure: str, media_type: str | None = None) -> list[int]:
        """A figure of each day, 0 where nothing happened."""
        sums = dict.fromkeys(self.days, 0)
        for row in self.rows:
            if media_type in (None, row.media_type):
                sums[row.day] += getattr(row, figure)
        return list(sums.values())

    @property
    def period(self) -> int:
        """Of how many days each bar of a chart is."""
        return 1 if len(self.days) <= MOST_BARS else WEEK

    @property
    def periods(self) -> list[slice]:
        """The days of each bar, up to today; the first may be of some days more."""
        count = max(1, len(self.days) // self.period)
        first = len(self.days) - (count - 1) * self.period
        ends = range(first, len(self.days) + 1, self.period)
        return [slice(0 if end == first else end - self.period, end) for end in ends]

    def by_period(self, figure: str, media_type: str | None = None) -> list[float]:
        """A figure a day, on average over the days of each period."""
        days = self.by_day(figure, media_type)
        return [statistics.fmean(days[one]) for one in self.periods]

    def times(self, percentile: str, media_type: str) -> list[float | None]:
        """A percentile in seconds, of the middle day of each period; None where no file of the type
        was processed.
        """
        found: dict[date, float | None] = dict.fromkeys(self.days)
        for row in self.rows:
            if row.media_type == media_type and getattr(row, percentile) is not None:
                found[row.day] = getattr(row, percentile) / 1000
        days = list(found.values())
        times = [[time for time in days[one] if time is not None] for one in self.periods]
        return [statistics.median_low(one) if one else None for one in times]


async def read_report(database: Database, days: int) -> Report:
    """The last `days` days, today included. Raises what the calls of the database raise."""
    stats = all_plain(await database.storage_stats())
    at = datetime.fromisoformat(stats["at"])
    span = [at.date() - timedelta(days=back) for back in reversed(range(days))]
    rows = [_row(row) for row in await database.daily_report(span[0]) if row["date"] <= span[-1]]
    begin = datetime.combine(span[0], datetime.min.time(), at.tzinfo)
    reasons = [
        Reason(
            plain(row["failure_code"] or UNKNOWN), plain(row["meaning"] or row["last_text"] or ""),
            row["files"], row["by_type"], row["last_at"], plain(row["last_text"] or ""),
        )
        for row in await database.failures(begin)
    ]  # fmt: skip
    stored = stored_by_day(span, rows, stats["stored_bytes"])
    active = len({row.day for row in rows if row.files and row.day < span[-1]})
    return Report(
        at=at,
        days=span,
        types=sorted(
            {row.media_type for row in rows},
            key=lambda one: -sum(row.files for row in rows if row.media_type == one),
        ),
        rows=rows,
        reasons=reasons,
        stored=stored,
        forecast=forecast(span, stored) if active >= DAYS_TO_FORECAST_FROM else None,
        stats=stats,
    )


def _row(row: dict[str, Any]) -> TypeOfDay:
    return TypeOfDay(
        day=row["date"],
        media_type=plain(row["media_type"] or UNKNOWN),
        **{name: int(row[name]) for name in COUNTED},
        p50_ms=row["p50_ms"],
        p95_ms=row["p95_ms"],
    )


def stored_by_day(days: list[date], rows: list[TypeOfDay], now: int) -> list[int]:
    """What was stored at the end of each day, from what is now and what came and went since."""
    grown = dict.fromkeys(days, 0)
    for row in rows:
        grown[row.day] += row.grown_bytes
    stored: list[int] = []
    for day in reversed(days):
        stored.insert(0, max(now, 0))
        now -= grown[day]
    return stored


def forecast(days: list[date], stored: list[int]) -> Forecast:
    """A straight line by least squares through the last whole days since the first file, carried on
    from now.
    """
    whole = stored[:-1]
    begun = next((number for number, size in enumerate(whole) if size), 0)
    recent = whole[max(0, begun - 1) :][-DAYS_OF_TREND:]
    slope = statistics.linear_regression(range(len(recent)), recent).slope
    ahead = min(len(days), DAYS_AHEAD, TIMES_AHEAD * len(recent))
    expected = max(0, round(stored[-1] + slope * ahead))
    return Forecast(slope, days[-1] + timedelta(days=ahead), expected)
