"""The figures of get_media_storage_stats as a person reads them, within 80 columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from poller.figures import since, span, webhook_lines
from poller.text import counted

STATUSES = ("pending", "processing", "waiting", "failed", "cancelled")
TYPE_FIGURES = {
    "files": "files", "unique_files": "unique", "deduplicated_files": "repeats", "bytes": "bytes",
    "saved_bytes": "saved", "failed_files": "failed", "deleted_files": "deleted",
}  # fmt: skip


def status_view(stats: dict[str, Any]) -> Table:
    view = Table.grid(padding=(0, 2, 1, 0))
    view.add_column(style="bold", min_width=9)
    view.add_column(ratio=1)
    now = datetime.fromisoformat(stats["at"])
    view.add_row("queue", _queue(stats))
    view.add_row("lately", _lately(stats))
    view.add_row(
        "webhook", "\n".join(webhook_lines(stats["webhook"])) or "nothing refused since yesterday"
    )
    view.add_row("pauses", _pauses(stats["pauses"], now))
    view.add_row("pollers", _pollers(stats["pollers_alive"], now))
    view.add_row("deletions", _deletions(stats))
    view.add_row("failures", _failures(stats, now))
    view.add_row("storage", storage_table(stats))
    return view


def _queue(stats: dict[str, Any]) -> str:
    counts = ", ".join(
        f"{stats['queue'][status]:,} {status}" for status in STATUSES if status in stats["queue"]
    )
    oldest: float = stats["oldest_due_seconds"]
    return (counts or "empty") + (f"\noldest due for {span(oldest)}" if oldest else "")


def _lately(stats: dict[str, Any]) -> str:
    lines: list[str] = []
    for last in ("minute", "hour", "day"):
        figures = stats["throughput"][f"last_{last}"]
        failed = f", {figures['failed_files']:,} failed" if figures["failed_files"] else ""
        lines.append(
            f"last {last}: {counted(figures['files'], 'file')}, {decimal(figures['bytes'])}{failed}"
        )
    times = stats["processing_ms"]
    if times["p50"] is not None:
        half, most = span(times["p50"] / 1000, 1), span(times["p95"] / 1000, 1)
        lines.append(f"half within {half} of being queued, 95 % within {most}")
    return "\n".join(lines)


def _pauses(pauses: list[dict[str, Any]], now: datetime) -> RenderableType:
    if not pauses:
        return "none"
    lines: list[Text] = []
    for pause in pauses:
        strikes = "" if pause["strikes"] == 1 else f", {pause['strikes']} times in a row"
        until = datetime.fromisoformat(pause["until"])
        end = (
            "one job probes" if pause["state"] == "probing" else f"for another {since(now, until)}"
        )
        lines.append(Text(f"{pause['scope']}: {end}{strikes}", overflow="fold"))
        detail = pause["detail"] and f": {pause['detail']}"
        lines.append(_one_line(f"  {pause['reason']}{detail or ''}"))
    return Group(*lines)


def _pollers(pollers: list[dict[str, Any]], now: datetime) -> RenderableType:
    if not pollers:
        return "none alive"
    table = _table()
    table.add_column("poller", overflow="fold")
    table.add_column("mode")
    table.add_column("in flight", justify="right")
    table.add_column("seen", justify="right")
    for one in pollers:
        seen = since(datetime.fromisoformat(one["seen_at"]), now)
        table.add_row(Text(one["poller"]), one["mode"], f"{one['in_flight']:,}", f"{seen} ago")
    return table


def _deletions(stats: dict[str, Any]) -> str:
    if not stats["deletions"]:
        return "none"
    overdue = stats["deletions_overdue"]
    waiting = counted(stats["deletions"], "file")
    return f"{waiting} to remove" + (f", {overdue:,} overdue" if overdue else "")


def _failures(stats: dict[str, Any], now: datetime) -> RenderableType:
    if not stats["failures"] and not stats["last_failures"]:
        return "none"
    lines = [Text(f"{count:,} {code}") for code, count in stats["failures"].items()]
    for one in stats["last_failures"]:
        ago = since(datetime.fromisoformat(one["at"]), now)
        lines.append(Text(f"{one['id']}, {ago} ago"))
        lines.append(_one_line(f"  {one['code']}: {one['text'] or ''}"))
    return Group(*lines)


def storage_table(stats: dict[str, Any]) -> RenderableType:
    """By media type, and what storing content once has saved."""
    if not stats["by_type"]:
        return "empty"
    table = _table()
    table.add_column("type")
    for heading in TYPE_FIGURES.values():
        table.add_column(heading, justify="right")
    for media_type, figures in [*stats["by_type"].items(), ("all", stats)]:
        table.add_row(media_type, *(
            decimal(figures[name]) if name.endswith("bytes") else f"{figures[name]:,}"
            for name in TYPE_FIGURES
        ))  # fmt: skip
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
