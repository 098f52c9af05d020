"""How far a long command is: a bar with rate and time left on a terminal, else a line now and then.

All of it on standard error, which --json leaves alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
)
from rich.table import Column
from rich.text import Text

from poller.cli.app import SECONDS_BETWEEN_LINES
from poller.figures import Pace, pace_words


class Report(Protocol):
    def __call__(self, done: int, total: int | None = None) -> None:
        """So many are done, of about so many if that is known."""
        ...


class WordsColumn(ProgressColumn):
    """The words of the plain lines: how many of how many, how many a second, and how long still."""

    def render(self, task: Task) -> Text:
        total = None if task.total is None else round(task.total)
        return Text(pace_words(
            round(task.completed), total, task.description, task.speed, task.time_remaining
        ))  # fmt: skip


@contextmanager
def progress(doing: str) -> Generator[Report]:
    """Report how far it is with `doing`, such as "messages read", for as long as the block lasts.

    What is reported in plain lines comes every SECONDS_BETWEEN_LINES, so not of what is quick.
    """
    if not sys.stderr.isatty():
        yield _plain_lines(doing)
        return
    words = WordsColumn(Column(no_wrap=True, overflow="ellipsis"))
    columns = (SpinnerColumn(), BarColumn(bar_width=10), words)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)

        def report(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=max(done, total) if total else None)

        yield report


def _plain_lines(doing: str) -> Report:
    pace, last = Pace(), time.monotonic()

    def report(done: int, total: int | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            sys.stderr.write(pace.words(done, total, doing) + "\n")
            sys.stderr.flush()

    return report
