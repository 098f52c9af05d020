"""What is wrong with a store, and what to do about it, by get_media_storage_stats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from poller.figures import compact, plural, since, span, webhook_lines

LATE_SECONDS = 300
"""Work that has been due for longer waits for something, as the alert PgmediaWorkWaits has it."""
UNFOLDED_MOST = 100_000
MOST_CODES = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs somebody. `check`: pollers, pauses, queue, failures, deletions,
    maintenance or webhook. `is_grave`: it keeps the store from doing its work.
    """

    check: str
    what: str
    do: str
    is_grave: bool = False


@dataclass(frozen=True, slots=True)
class PauseGroup:
    """The sources that are paused for one reason."""

    reason: str
    meaning: str | None
    advice: str
    pauses: list[dict[str, Any]]

    @property
    def who(self) -> str:
        return self.scopes if len(self.pauses) == 1 else f"{len(self.pauses):,} sources"

    @property
    def scopes(self) -> str:
        return ", ".join(one["scope"] for one in self.pauses)

    def end(self, now: datetime) -> str:
        """Until when all of them are left alone, in words."""
        left = [datetime.fromisoformat(one["until"]) for one in self.pauses
                if one["state"] != "probing"]  # fmt: skip
        return f"for another {since(now, max(left))}" if left else "one job probes"


def troubles(stats: dict[str, Any]) -> list[Trouble]:
    """The gravest first; none when all is well."""
    return [*_work(stats), *_failures(stats), *_aftermath(stats)]


def group_pauses(stats: dict[str, Any]) -> list[PauseGroup]:
    """By reason; those of the storage, which hold up every number, first."""
    groups: dict[str, PauseGroup] = {}
    for pause in sorted(stats["pauses"], key=lambda one: one["scope"] != "storage"):
        reason = pause["reason"]
        words = stats.get("codes", {}).get(reason, {})  # not in an older schema
        lift = f"pgmedia resume {pause['scope']} ends it"
        group = PauseGroup(reason, words.get("meaning"), words.get("advice", lift), [])
        groups.setdefault(reason, group).pauses.append(pause)
    return list(groups.values())


def failure_words(stats: dict[str, Any], code: str) -> tuple[str, str]:
    """What a code means, the code itself where nobody has said, and what to do."""
    words = stats.get("codes", {}).get(code, {})
    return words.get("meaning", code), words.get("advice", f"pgmedia retry --failed --code {code}")


def _work(stats: dict[str, Any]) -> Iterator[Trouble]:
    late: float = stats["oldest_due_seconds"]
    due = compact(stats["queue"].get("pending", 0))
    waiting = f"{due} pending, the oldest due for {span(late)}"
    if not stats["pollers"]:
        what = f"no poller is at work: {waiting}" if late else "no poller is at work"
        do = "pgmedia poll starts one; its log says what is in its way"
        yield Trouble("pollers", what, do, late > LATE_SECONDS)
    now = datetime.fromisoformat(stats["at"])
    for one in group_pauses(stats):
        what = f"{one.who} {'is' if len(one.pauses) == 1 else 'are'} paused, {one.end(now)}"
        yield Trouble("pauses", f"{what}: {one.meaning or one.reason}", one.advice,
                      one.meaning is not None)  # fmt: skip
    if late > LATE_SECONDS and stats["pollers"] and not stats["pauses"]:
        yield Trouble(
            "queue", waiting, "see the pollers' logs; if all are busy, start more: pgmedia poll",
            is_grave=True,
        )  # fmt: skip


def _failures(stats: dict[str, Any]) -> Iterator[Trouble]:
    codes: dict[str, int] = stats["failures"]
    for code, count in list(codes.items())[:MOST_CODES]:
        meaning, advice = failure_words(stats, code)
        yield Trouble("failures", f"{plural(count, 'file')} failed: {meaning} ({code})", advice)
    if len(codes) > MOST_CODES:
        rest = sum(list(codes.values())[MOST_CODES:])
        what = (
            f"{plural(rest, 'file')} failed for {plural(len(codes) - MOST_CODES, 'other reason')}"
        )
        yield Trouble("failures", what, "the view media_failures has them all")


def _aftermath(stats: dict[str, Any]) -> Iterator[Trouble]:
    if overdue := stats["deletions_overdue"]:
        yield Trouble(
            "deletions", f"{plural(overdue, 'file')} should have gone from the storage",
            "a poller must be at work, and its key be allowed to remove: pgmedia doctor",
            is_grave=True,
        )  # fmt: skip
    if stats["unfolded"] >= UNFOLDED_MOST:
        yield Trouble(
            "maintenance", "maintenance does not run: these figures lack what is new",
            "a poller at work runs it, or pgmedia schedule", is_grave=True,
        )  # fmt: skip
    for line in webhook_lines(stats["webhook"]):
        yield Trouble("webhook", line, "docs/webhook.md says what each means")
