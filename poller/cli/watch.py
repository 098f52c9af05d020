"""`pgmedia status --watch`: the figures on the whole terminal, until q or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from poller.cli.app import connected
from poller.cli.live_view import live_view
from poller.config import Settings
from poller.db import DATABASE_AWAY, Database
from poller.figures import span
from poller.text import all_plain, describe_error

ANSWER_SECONDS = 10.0
"""A database that takes longer counts as away."""
LET_GO_SECONDS = 1.0
"""How long a call that is no longer wanted may hold up the end."""
ROOMY = 12
"""Lines of a terminal on which one is kept free for what goes wrong with the database."""


async def watch(settings: Settings, every: float) -> None:
    """Show the figures anew `every` so many seconds. A database that goes away is waited for.

    Raises one of DATABASE_AWAY when it is away from the start.
    """
    stop, wake = asyncio.Event(), asyncio.Event()

    def end() -> None:
        stop.set()
        wake.set()

    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, end)
    loop.add_signal_handler(signal.SIGWINCH, wake.set)
    async with connected(settings) as database:
        screen = Screen(await database.storage_stats(), every)
        console = Console(highlight=False)
        with (
            keys(lambda key: end() if key in {"q", "Q"} else None),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            looking: asyncio.Task[None] | None = None
            while not stop.is_set():
                live.update(screen.view(console.width, console.height), refresh=True)
                wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every):
                        await wake.wait()
                if looking is None:
                    looking = asyncio.create_task(screen.look(database))
                await until_either(looking, stop, every)
                if looking.done():
                    looking = looking.result()
            if looking is not None:
                looking.cancel()
                await asyncio.wait({looking}, timeout=LET_GO_SECONDS)


class Screen:
    """The last figures there were, and since when there are none."""

    def __init__(self, stats: dict[str, Any], every: float) -> None:
        self._stats = stats
        self._every = every
        self._problem: str | None = None
        self._asked = self._looked = time.monotonic()

    async def look(self, database: Database) -> None:
        self._asked = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._stats = await database.storage_stats()
        except DATABASE_AWAY as error:
            self._problem = describe_error(error)
        else:
            self._problem, self._looked = None, time.monotonic()

    def _silence(self) -> str | None:
        """A call to a server that stands still does not end when its time is over."""
        is_asked = self._asked > self._looked
        return "no answer" if is_asked and time.monotonic() - self._asked > ANSWER_SECONDS else None

    def view(self, width: int, height: int) -> RenderableType:
        """No more than `height` lines, none of them wider than `width`."""
        at = datetime.fromisoformat(self._stats["at"])
        head = Text(f"pgmedia  {at:%Y-%m-%d %H:%M:%S}", style="bold")
        hint = Text(f"every {self._every:.0f} s, q ends", style="dim")
        if (gap := width - head.cell_len - hint.cell_len) > 0:
            head = Text.assemble(head, " " * gap, hint)
        problem = Text(style="yellow")
        if what := self._problem or self._silence():
            away = span(time.monotonic() - self._looked)
            problem.append(f"the database is away for {away}, trying on: {what}")
        above = [head, problem] if what or height >= ROOMY else [head]
        for line in above:
            line.no_wrap, line.overflow = True, "ellipsis"
        rest = max(1, height - len(above))
        return Group(*above[: height - 1], live_view(all_plain(self._stats), width, rest))


async def until_either(task: asyncio.Task[None], stop: asyncio.Event, seconds: float) -> None:
    """Wait for a task, but no longer than so many seconds or until told to stop."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


@contextlib.contextmanager
def keys(pressed: Callable[[str], object]) -> Generator[None]:
    """Hear single keys; the terminal is as it was before at the end, however it comes."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()
    tty.setcbreak(terminal)
    loop.add_reader(terminal, lambda: pressed(os.read(terminal, 1).decode(errors="replace")))
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
