"""The figures of get_media_storage_stats for `pgmedia status --watch`: in 80 columns and 24 lines,
and with more lines, more of the work in hand.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from poller.cli.status_view import STATUSES, storage_table
from poller.figures import since, span, webhook_lines
from poller.text import counted

OTHER_LINES = 14
"""All but pollers and pauses, at their most."""
MOST_PAUSES = 3
MOST_FAILURES = 2
NAME_WIDTH = 36
"""Of a poller's name."""


def live_view(stats: dict[str, Any], height: int) -> RenderableType:
    """`height`: how many lines there are to fill. What changes its length most is at the end, so
    that the rest keeps its place.
    """
    now = datetime.fromisoformat(stats["at"])
    pauses = _pauses(stats["pauses"], now)
    rows: list[tuple[str, RenderableType]] = [("queue", _queue(stats)), ("lately", _lately(stats))]
    if trouble := webhook_lines(stats["webhook"]):
        rows.append(("webhook", _lines([Text(line) for line in trouble[:1]])))
    rows.append(("pauses", _lines(pauses)))
    rows += [("failures", _failures(stats, now)), ("storage", storage_table(stats))]
    if stats["saved_bytes"]:
        share = f"{stats['saved_share']:.1%}".replace("%", " %")
        rows.append(("saved", f"{decimal(stats['saved_bytes'])}, {share}, by storing content once"))
    room = max(3, height - OTHER_LINES - len(pauses))
    rows.append(("pollers", _pollers(stats["pollers_alive"], now, room)))
    view = Table.grid(padding=(0, 2, 0, 0))
    view.add_column(style="bold", min_width=9)
    view.add_column(ratio=1)
    for name, value in rows:
        view.add_row(name, value)
    return view


def _lines(lines: list[Text]) -> RenderableType:
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _queue(stats: dict[str, Any]) -> RenderableType:
    parts = [
        f"{stats['queue'][status]:,} {status}" for status in STATUSES if status in stats["queue"]
    ]
    if stats["deletions"]:
        parts.append(f"{stats['deletions']:,} to remove")
    if oldest := stats["oldest_due_seconds"]:
        parts.append(f"oldest due for {span(oldest)}")
    return _lines([Text(", ".join(parts) or "empty")])


def _lately(stats: dict[str, Any]) -> RenderableType:
    minute, hour, day = (stats["throughput"][f"last_{last}"] for last in ("minute", "hour", "day"))
    lines = [
        Text(f"last minute {counted(minute['files'], 'file')}, {decimal(minute['bytes'])};"
             f" hour {hour['files']:,}; day {day['files']:,}")
    ]  # fmt: skip
    times = stats["processing_ms"]
    if times["p50"] is not None:
        half, most = span(times["p50"] / 1000, 1), span(times["p95"] / 1000, 1)
        lines.append(Text(f"half within {half} of being queued, 95 % within {most}"))
    return _lines(lines)


def _pauses(pauses: list[dict[str, Any]], now: datetime) -> list[Text]:
    if not pauses:
        return [Text("none")]
    lines: list[Text] = []
    for pause in pauses[:MOST_PAUSES]:
        left = since(now, datetime.fromisoformat(pause["until"]))
        end = "one job probes" if pause["state"] == "probing" else f"for another {left}"
        text = f"{pause['scope']}: {end}: {pause['reason']}"
        lines.append(Text(text, style="yellow"))
    if len(pauses) > MOST_PAUSES:
        lines.append(Text(f"and {len(pauses) - MOST_PAUSES:,} more", style="dim"))
    return lines


def _pollers(pollers: list[dict[str, Any]], now: datetime, room: int) -> RenderableType:
    """Each poller, and below it what it works on, as far as there is room: equally much of each."""
    if not pollers:
        return Text("none alive", style="yellow")
    shown: list[RenderableType] = []
    each = max(0, room // len(pollers) - 1)
    for one in pollers[:room]:
        seen = since(datetime.fromisoformat(one["seen_at"]), now)
        line = Text(one["poller"], no_wrap=True, overflow="ellipsis")
        line.truncate(NAME_WIDTH, overflow="ellipsis")
        line.append(f"  {one['mode']}, {one['in_flight']:,} in hand, seen {seen} ago", style="dim")
        shown.append(line)
        if one["work"] and each:
            shown.append(_work(one["work"][:each]))
    if len(pollers) > room:
        shown.append(Text(f"and {len(pollers) - room:,} more", style="dim"))
    return Group(*shown)


def _work(work: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=11)
    table.add_column(width=8)
    table.add_column(width=26, justify="right")
    table.add_column(width=7, justify="right")
    for one in work:
        table.add_row(f"  {one['id'][:8]}…", one["step"], _bytes(one), span(one["seconds"]))
    return table


def _bytes(work: dict[str, Any]) -> str:
    done, total = work["bytes_done"], work["bytes_total"]
    if work["step"] in ("describe", "check") or not total:
        return decimal(done or total or 0) if done or total else ""
    return f"{decimal(done)} of {decimal(total)} {min(1, done / total):4.0%}"


def _failures(stats: dict[str, Any], now: datetime) -> RenderableType:
    codes = [f"{count:,} {code}" for code, count in stats["failures"].items()]
    lines = [Text(", ".join(codes) or "none")]
    for one in stats["last_failures"][:MOST_FAILURES]:
        ago = since(datetime.fromisoformat(one["at"]), now)
        text = f"{one['id'][:8]}… {ago} ago: {one['code']}: {one['text'] or ''}"
        lines.append(Text(text, style="dim"))
    return _lines(lines)
