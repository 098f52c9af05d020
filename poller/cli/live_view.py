"""The figures of get_media_storage_stats for `pgmedia status --watch`, on any terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.cells import set_cell_size
from rich.console import RenderableType
from rich.filesize import decimal
from rich.text import Text

from poller.cli.fitting import NAME_WIDTH, Item, Section, fit
from poller.cli.status_view import STATUSES, storage_rows
from poller.figures import compact, plural, since, span, webhook_lines
from poller.troubles import LATE_SECONDS, failure_words, group_pauses

IMPORTANCE = (
    "queue", "pauses", "failures", "pollers", "lately", "storage", "webhook", "saved",
)  # fmt: skip
"""Which of them a terminal of very few lines shows."""
MOST_LINES = 6
"""Of pauses, of failures: what is more is counted, and `pgmedia status` has it."""
LONGEST_NAME = 36
"""Of a poller or a source; half of the line where there is less."""


def live_view(stats: dict[str, Any], width: int, height: int) -> RenderableType:
    """`height`: how many lines there are to fill. What changes its length most is at the end, so
    that the rest keeps its place.
    """
    now = datetime.fromisoformat(stats["at"])
    room = max(1, width - NAME_WIDTH)
    name_width = min(LONGEST_NAME, max(8, room // 2))
    sections = [_queue(stats), _lately(stats)]
    if trouble := webhook_lines(stats["webhook"]):
        sections.append(_lines("webhook", [Text(line, style="yellow") for line in trouble]))
    sections += [_pauses(stats, now, name_width), _failures(stats, now), _storage(stats, room)]
    if stats["saved_bytes"]:
        share = f"{stats['saved_share']:.1%}".replace("%", " %")
        saved = Text(f"{decimal(stats['saved_bytes'])}, {share}, by storing content once")
        sections.append(_lines("saved", [saved]))
    sections.append(_pollers(stats, now, name_width))
    return fit(sections, IMPORTANCE, height)


def _lines(name: str, lines: list[Text]) -> Section:
    return Section(name, lines[0], [Item(line) for line in lines])


def _queue(stats: dict[str, Any]) -> Section:
    parts = [
        f"{compact(stats['queue'][status])} {status}"
        for status in STATUSES
        if status in stats["queue"]
    ]
    if stats["deletions"]:
        parts.append(f"{compact(stats['deletions'])} to remove")
    oldest: float = stats["oldest_due_seconds"]
    late = Text(f"oldest due for {span(oldest)}", style="yellow" if oldest > LATE_SECONDS else "")
    return _lines("queue", [
        Text(", ").join([*([late] if oldest else []), *map(Text, parts)] or [Text("empty")])
    ])  # fmt: skip


def _lately(stats: dict[str, Any]) -> Section:
    minute, hour, day = (stats["throughput"][f"last_{last}"] for last in ("minute", "hour", "day"))
    lines = [
        Text(f"last minute {plural(minute['files'], 'file')}, {decimal(minute['bytes'])};"
             f" hour {compact(hour['files'])}; day {compact(day['files'])}")
    ]  # fmt: skip
    times = stats["processing_ms"]
    if times["p50"] is not None:
        half, most = span(times["p50"] / 1000, 1), span(times["p95"] / 1000, 1)
        lines.append(Text(f"half within {half} of being queued, 95 % within {most}"))
    return _lines("lately", lines)


def _pauses(stats: dict[str, Any], now: datetime, name_width: int) -> Section:
    """A line for each reason, below it what to do, and who they are where they are many."""
    if not stats["pauses"]:
        return _lines("pauses", [Text("none")])
    items: list[Item] = []
    for group in group_pauses(stats):
        many = len(group.pauses) > 1
        who = group.who if many else _short(group.who, name_width)
        details = [Text(f"  {group.advice}")]
        if many:
            details.append(Text(f"  {group.scopes}", style="dim"))
        line = Text(f"{who}: {group.end(now)}: {group.reason}", style="yellow")
        items.append(Item(line, details))
    short = Text(f"{plural(len(stats['pauses']), 'source')}: ", style="yellow")
    short.append(", ".join(group.reason for group in group_pauses(stats)))
    return Section("pauses", short, items, most=MOST_LINES)


def _failures(stats: dict[str, Any], now: datetime) -> Section:
    """The codes, below them what to do about the commonest, and the last ones."""
    codes: dict[str, int] = stats["failures"]
    if not codes and not stats["last_failures"]:
        return _lines("failures", [Text("none")])
    counts = Text(", ".join(f"{compact(count)} {code}" for code, count in codes.items()) or "none")
    below = [Text(f"  {failure_words(stats, code)[1]}") for code in list(codes)[:1]]
    for one in stats["last_failures"]:
        ago = since(datetime.fromisoformat(one["at"]), now)
        text = f"{one['id'][:8]}… {ago} ago: {one['code']}: {one['text'] or ''}"
        below.append(Text(text, style="dim"))
    return Section("failures", counts, [Item(counts, below)], most=MOST_LINES)


def _storage(stats: dict[str, Any], width: int) -> Section:
    if not stats["by_type"]:
        return _lines("storage", [Text("empty")])
    now, head, *types, total = storage_rows(stats, width)
    short = Text(f"{plural(stats['stored_files'], 'file')}, {decimal(stats['stored_bytes'])}")
    head.stylize("dim")
    return Section("storage", short, [Item(one) for one in types], [now, head], [total])


def _pollers(stats: dict[str, Any], now: datetime, name_width: int) -> Section:
    """Each poller, and below it what it works on, as far as there is room: equally much of each."""
    pollers: list[dict[str, Any]] = stats["pollers_alive"]
    if not pollers:
        return _lines("pollers", [Text("none alive; pgmedia poll starts one", style="yellow")])
    items: list[Item] = []
    for one in pollers:
        seen = since(datetime.fromisoformat(one["seen_at"]), now)
        line = Text(_short(one["poller"], name_width))
        hand = f"{compact(one['in_flight'])} in hand"
        line.append(f"  {one['mode']}, {hand}, seen {seen} ago", style="dim")
        items.append(Item(line, list(_work(one["work"]))))
    in_hand = sum(one["in_flight"] for one in pollers)
    return Section("pollers", Text(f"{len(pollers):,} alive, {compact(in_hand)} in hand"), items)


def _work(work: list[dict[str, Any]]) -> Iterable[Text]:
    for one in work:
        at = f"{one['step'] or '':8}  {_bytes(one):>26}  {span(one['seconds']):>7}"
        yield Text(f"  {one['id'][:8]}…  {at}")


def _bytes(work: dict[str, Any]) -> str:
    done, total = work["bytes_done"], work["bytes_total"]
    if work["step"] in ("describe", "check") or not total:
        return decimal(done or total or 0) if done or total else ""
    return f"{decimal(done)} of {decimal(total)} {min(1, done / total):4.0%}"


def _short(name: str, width: int) -> str:
    """A name in so many cells, some of which wide characters take two of."""
    text = Text(name)
    return name if text.cell_len <= width else set_cell_size(name, width - 1) + "…"
