"""What the doctor says: one finding for each check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and its outcome, with what to do about it when it is wrong.

    skipped: it could not be made, because of what is wrong elsewhere. note: good to know, no fault.
    """

    state: Literal["ok", "wrong", "skipped", "note"]
    check: str
    text: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Where findings go, as they are made."""

    tell: Callable[[Finding], None]

    def ok(self, check: str, text: str) -> None:
        self.tell(Finding("ok", check, text))

    def wrong(self, check: str, text: str) -> None:
        self.tell(Finding("wrong", check, text))

    def skipped(self, check: str, why: str) -> None:
        self.tell(Finding("skipped", check, f"not checked: {why}"))

    def note(self, check: str, text: str) -> None:
        self.tell(Finding("note", check, text))
