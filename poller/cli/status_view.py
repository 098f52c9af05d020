"""The figures of get_media_storage_stats as a person reads them, within 80 columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from poller.cli.fitting import NAME_WIDTH, columns
from poller.figures import compact, plural, since, span, webhook_lines
from poller.troubles import Trouble, failure_words, group_pauses, troubles

STATUSES = ("pending", "processing", "waiting", "failed", "cancelled")
TYPE_FIGURES = {
    "files": "files", "unique_files": "unique", "deduplicated_files": "repeats", "bytes": "bytes",
    "saved_bytes": "saved", "failed_files": "failures", "deleted_files": "deleted",
}  # fmt: skip
LONGEST_TYPE = 12
KEPT_COLUMNS = (0, 1, 4, 5, 6, 3, 2, 7)
"""Of the type and TYPE_FIGURES, the last ones go first where there is no room for all."""


def status_view(stats: dict[str, Any], width: int) -> Table:
    """What is wrong and what to do about it comes first; then the figures."""
    view = Table.grid(padding=(0, 2, 1, 0))
    view.add_column(style="bold", width=NAME_WIDTH - 2)
    view.add_column(ratio=1)
    now = datetime.fromisoformat(stats["at"])
    view.add_row("to do", _to_do(troubles(stats)))
    view.add_row("queue", _queue(stats))
    view.add_row("lately", _lately(stats))
    view.add_row(
        "webhook", "\n".join(webhook_lines(stats["webhook"])) or "nothing refused since yesterday"
    )
    view.add_row("pauses", _pauses(stats, now))
    view.add_row("pollers", _pollers(stats["pollers_alive"], now))
    view.add_row("deletions", _deletions(stats))
    view.add_row("failures", _failures(stats, now))
    view.add_row("storage", Group(*storage_rows(stats, max(1, width - NAME_WIDTH))))
    return view


def _to_do(found: list[Trouble]) -> RenderableType:
    if not found:
        return "nothing: all is well"
    lines: list[RenderableType] = []
    for one in found:
        lines += [Text(one.what, style="yellow", overflow="fold"), _below(Text(one.do))]
    return Group(*lines)


def _below(line: Text) -> Padding:
    return Padding(line, (0, 0, 0, 2))


def _queue(stats: dict[str, Any]) -> str:
    counts = ", ".join(
        f"{compact(stats['queue'][status])} {status}"
        for status in STATUSES
        if status in stats["queue"]
    )
    oldest: float = stats["oldest_due_seconds"]
    return (counts or "empty") + (f"\noldest due for {span(oldest)}" if oldest else "")


def _lately(stats: dict[str, Any]) -> str:
    lines: list[str] = []
    for last in ("minute", "hour", "day"):
        figures = stats["throughput"][f"last_{last}"]
        failed = f", {compact(figures['failed_files'])} failed" if figures["failed_files"] else ""
        lines.append(
            f"last {last}: {plural(figures['files'], 'file')}, {decimal(figures['bytes'])}{failed}"
        )
    times = stats["processing_ms"]
    if times["p50"] is not None:
        half, most = span(times["p50"] / 1000, 1), span(times["p95"] / 1000, 1)
        lines.append(f"half within {half} of being queued, 95 % within {most}")
    return "\n".join(lines)


def _pauses(stats: dict[str, Any], now: datetime) -> RenderableType:
    """By reason; where it holds for many sources, what was said of the first one."""
    if not stats["pauses"]:
        return "none"
    lines: list[RenderableType] = []
    for group in group_pauses(stats):
        first = group.pauses[0]
        alone = len(group.pauses) == 1
        strikes = f", {first['strikes']} times in a row" if alone and first["strikes"] > 1 else ""
        lines.append(Text(f"{group.who}: {group.end(now)}{strikes}", overflow="fold"))
        detail = first["detail"] and f": {first['detail']}"
        lines.append(_one_line(f"  {group.reason}{detail or ''}"))
        if not alone:
            lines.append(_below(Text(group.scopes, overflow="fold")))
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
    words = f"{plural(stats['deletions'], 'file')} to remove"
    return words + (f", {compact(overdue)} overdue" if overdue else "")


def _failures(stats: dict[str, Any], now: datetime) -> RenderableType:
    if not stats["failures"] and not stats["last_failures"]:
        return "none"
    lines: list[Text] = []
    for code, count in stats["failures"].items():
        lines.append(_one_line(f"{compact(count)} {code}: {failure_words(stats, code)[0]}"))
    for one in stats["last_failures"]:
        ago = since(datetime.fromisoformat(one["at"]), now)
        lines.append(Text(f"{one['id']}, {ago} ago"))
        lines.append(_one_line(f"  {one['code']}: {one['text'] or ''}"))
    return Group(*lines)


def storage_rows(stats: dict[str, Any], width: int) -> list[Text]:
    """What there is now; then by type what ever came, a heading first, and all of it last."""
    if not stats["by_type"]:
        return [Text("empty")]
    now = f"now {plural(stats['stored_files'], 'file')}, {decimal(stats['stored_bytes'])};"
    rows = [["type", *TYPE_FIGURES.values()]]
    for media_type, figures in [*stats["by_type"].items(), ("all", stats)]:
        rows.append([media_type[:LONGEST_TYPE], *(
            decimal(figures[name]) if name.endswith("bytes") else compact(figures[name])
            for name in TYPE_FIGURES
        )])  # fmt: skip
    return [_one_line(f"{now} since the start:"), *columns(rows, KEPT_COLUMNS, width)]


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
