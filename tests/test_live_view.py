"""What `pgmedia status` and its live view show, on terminals of many sizes and much to show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from rich.cells import cell_len
from rich.console import Console

from poller.cli.live_view import live_view
from poller.cli.status_view import status_view
from poller.cli.watch import Screen
from poller.figures import compact
from poller.troubles import troubles

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIZES = [(80, 24), (80, 12), (120, 50), (40, 10), (24, 5), (20, 2), (10, 1), (200, 30), (80, 100)]
MOST = 987_654_321_098
FIGURES = dict.fromkeys(
    ("files", "bytes", "unique_files", "deduplicated_files", "saved_bytes", "failed_files",
     "deleted_files", "stored_files", "stored_bytes"), MOST
)  # fmt: skip
EMPTY: dict[str, Any] = {
    "at": AT.isoformat(), "queue": {}, "oldest_due_seconds": 0, "deletions": 0,
    "deletions_overdue": 0, "unfolded": 0, "failures": {}, "last_failures": [], "codes": {},
    "throughput": {f"last_{one}": {"files": 0, "bytes": 0, "failed_files": 0}
                   for one in ("minute", "hour", "day")},
    "processing_ms": {"p50": None, "p95": None},
    "webhook": {"refusals": {}, "errors": {}, "calls_with_errors": 0},
    "pauses": [], "pollers": 0, "pollers_alive": [], "by_type": {}, "saved_share": 0,
    **dict.fromkeys(FIGURES, 0),
}  # fmt: skip


def pause(scope: str, reason: str, state: str = "paused") -> dict[str, Any]:
    until = (AT + timedelta(minutes=10)).isoformat()
    return {"scope": scope, "reason": reason, "detail": "x" * 500, "strikes": 3, "until": until,
            "state": state}  # fmt: skip


def poller(name: str) -> dict[str, Any]:
    work = {"step": "download", "bytes_done": 512_000, "bytes_total": 1_024_000, "seconds": 12.5}
    return {"poller": name, "mode": "listen", "in_flight": 16, "seen_at": AT.isoformat(),
            "work": [{"id": str(uuid4()), **work} for _ in range(16)]}  # fmt: skip


def crowded(many: int) -> dict[str, Any]:
    """So many of everything, in large figures, wide characters and long names."""
    codes = [f"code_{number}_{'long' * 6}" for number in range(many)]
    return EMPTY | FIGURES | {
        "queue": dict.fromkeys(("pending", "processing", "waiting", "failed", "cancelled"), MOST),
        "oldest_due_seconds": 172_800, "deletions": MOST, "deletions_overdue": MOST,
        "unfolded": 100_000, "failures": dict.fromkeys(codes, MOST),
        "last_failures": [{"id": str(uuid4()), "at": AT.isoformat(), "code": code,
                           "text": "漢字" * 100} for code in codes[:5]],
        "codes": {code: {"meaning": "漢字" * 30, "advice": "漢字" * 90} for code in codes[1:]},
        "processing_ms": {"p50": 1e9, "p95": 1e12}, "saved_share": 0.5,
        "throughput": {f"last_{one}": FIGURES for one in ("minute", "hour", "day")},
        "webhook": {"refusals": dict.fromkeys(codes, MOST), "errors": dict.fromkeys(codes, MOST),
                    "calls_with_errors": MOST},
        "pauses": [pause(f"whatsapp:{'漢字' if one % 2 else '9'}{'1' * one * 9}", codes[one % 4])
                   for one in range(many)],
        "pollers": many,
        "pollers_alive": [poller(f"{'漢字-' * one}host") for one in range(many)],
        "by_type": {f"type-{one}": FIGURES for one in range(many)},
    }  # fmt: skip


def drawn(view: Any, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    return ["".join(part.text for part in line).rstrip() for line in console.render_lines(view)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("stats", [EMPTY, crowded(4), crowded(20)], ids=["empty", "4", "20"])
def test_it_fits(width: int, height: int, stats: dict[str, Any]) -> None:
    lines = drawn(Screen(stats, 2).view(width, height), width)

    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("many", [0, 1, 3, 12])
@pytest.mark.parametrize("height", [10, 22, 48])
def test_every_section_has_its_place(many: int, height: int) -> None:
    stats = crowded(8) | {"pollers_alive": [poller(f"host-{one}") for one in range(many)]}
    lines = drawn(live_view(stats, 80, height), 80)

    names = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert names == ["queue", "lately", "webhook", "pauses", "failures", "storage", "saved",
                     "pollers"]  # fmt: skip
    below = drawn(live_view(crowded(8), 80, height), 80)
    assert lines.index(next(one for one in lines if one.startswith("pollers"))) == below.index(
        next(one for one in below if one.startswith("pollers"))
    ), "pollers that come and go move nothing above them"


def test_what_is_cut_is_counted() -> None:
    lines = drawn(live_view(crowded(20), 80, 24), 80)
    shown = [line for line in lines if "16 in hand" in line]

    assert lines[-1].split() == ["and", str(20 - len(shown)), "more"]
    assert "20 sources: code_0" in "\n".join(drawn(live_view(crowded(20), 80, 8), 80))


@pytest.mark.parametrize("name", ["host" * 50, "漢字" * 50])
def test_a_long_name_leaves_room_for_the_rest(name: str) -> None:
    stats = EMPTY | {"pollers_alive": [poller(name)], "pauses": [pause(f"whatsapp:{name}", "why")]}
    text = "\n".join(drawn(live_view(stats, 80, 22), 80))

    assert "listen, 16 in hand, seen 0 s ago" in text
    assert "for another 10 min: why" in text


def test_sources_paused_for_one_reason_are_one_line() -> None:
    stats = EMPTY | {
        "pauses": [pause(f"whatsapp:{one}", "whatsapp_token_refused") for one in range(18)],
        "codes": {"whatsapp_token_refused": {"meaning": "no", "advice": "get a token"}},
    }
    text = "\n".join(drawn(live_view(stats, 80, 22), 80))

    assert "18 sources: for another 10 min: whatsapp_token_refused" in text
    assert "  get a token" in text
    assert "whatsapp:0, whatsapp:1, " in text


def test_figures_are_whole_in_the_table() -> None:
    lines = drawn(live_view(crowded(1), 80, 40), 80)
    row = next(line for line in lines if "type-0" in line)

    assert row.split() == ["type-0", *["988", "G"] * 3, "987.7", "GB", "987.7", "GB",
                           *["988", "G"] * 2]  # fmt: skip
    narrow = next(line for line in drawn(live_view(crowded(1), 40, 40), 40) if "type-0" in line)
    assert narrow.split() == ["type-0", "988", "G", "987.7", "GB"]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (12_345, "12,345"), (99_999, "99,999"), (100_000, "100 k"), (999_499, "999 k"),
     (999_999, "1.00 M"), (12_345_678, "12.3 M"), (999_499_999, "999 M"), (MOST, "988 G"),
     (9_223_372_036_854_775_807, "9.22 E")],
)  # fmt: skip
def test_a_figure_takes_at_most_six_characters(count: int, words: str) -> None:
    assert compact(count) == words
    assert len(words) <= 6


def test_what_is_wrong_comes_first_with_what_to_do() -> None:
    stats = EMPTY | {
        "queue": {"pending": 1200}, "oldest_due_seconds": 172_800,
        "pauses": [pause("storage", "storage_unavailable"), pause("whatsapp:1", "moving house")],
        "failures": {"too_large": 600, "macros": 300, "mine": 100, "other": 1},
        "codes": {"storage_unavailable": {"meaning": "It is down", "advice": "see its page"},
                  "too_large": {"meaning": "It is large", "advice": "raise it"},
                  "macros": {"meaning": "Has macros", "advice": "nothing"}},
        "deletions_overdue": 1,
    }  # fmt: skip
    lines = [line.split(None, 2)[2] if number == 0 else line.strip()
             for number, line in enumerate(drawn(status_view(stats, 200), 200))]  # fmt: skip

    assert lines[:16] == [
        "no poller is at work: 1,200 pending, the oldest due for 2 d",
        "pgmedia poll starts one; its log says what is in its way",
        "storage is paused, for another 10 min: It is down", "see its page",
        "whatsapp:1 is paused, for another 10 min: moving house",
        "pgmedia resume whatsapp:1 ends it",
        "600 files failed: It is large (too_large)", "raise it",
        "300 files failed: Has macros (macros)", "nothing",
        "100 files failed: mine (mine)", "pgmedia retry --failed --code mine",
        "1 file failed for 1 other reason", "the view media_failures has them all",
        "1 file should have gone from the storage",
        "a poller must be at work, and its key be allowed to remove: pgmedia doctor",
    ]  # fmt: skip


def test_a_backlog_is_told_unless_a_pause_explains_it() -> None:
    late = EMPTY | {"pollers": 1, "oldest_due_seconds": 301, "queue": {"pending": 5}}

    assert [one.check for one in troubles(late)] == ["queue"]
    assert troubles(late | {"oldest_due_seconds": 300}) == []
    paused = late | {"pauses": [pause("storage", "x")]}
    assert [one.check for one in troubles(paused)] == ["pauses"]
    assert [one.check for one in troubles(EMPTY | {"unfolded": 100_000})] == [
        "pollers", "maintenance",
    ]  # fmt: skip
    assert troubles(EMPTY | {"pollers": 1}) == []
