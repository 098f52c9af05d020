"""`pgmedia reconcile` on a terminal, and a run that is stopped."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from tests.helpers import eventually
from tests.reconcile.conftest import (
    LEFT_OVER,
    ORPHAN,
    Hand,
    Reconcile,
    state,
)


class Process:
    """`pgmedia reconcile` on a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.said = ""
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            self.said += os.read(self._terminal, 65_536).decode()
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._terminal)

    def write(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


@pytest.fixture
async def on_terminal(
    environment: dict[str, str], operator: dict[str, str], tmp_path: Path, buckets: None
) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    del buckets
    started: list[tuple[Process, int]] = []

    async def start(*arguments: str) -> Process:
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "reconcile", *arguments,
            env=environment | operator, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path,
        )  # fmt: skip
        os.close(theirs)
        started.append((Process(process, ours), ours))
        return started[-1][0]

    yield start
    for one, ours in started:
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


@pytest.mark.parametrize("answer", ["y", "n", "", "Ctrl-C"])
async def test_on_a_terminal_it_asks(
    db: Any, hand: Hand, on_terminal: Callable[..., Awaitable[Process]], answer: str
) -> None:
    await hand.put(ORPHAN)
    hand.age()
    run = await on_terminal("--fix")
    question = "Remove 1 file and download 0 attachments again? [y/N]"
    await eventually(lambda: question in run.said)
    assert await db.fetch("select * from media_deletion_queue") == []

    if answer == "Ctrl-C":
        run.process.send_signal(signal.SIGINT)
    else:
        run.write(answer)

    assert await run.ended() == {"y": 0, "Ctrl-C": 130}.get(answer, 1)
    removed = await db.fetchval("select count(*) from media_deletion_queue")
    assert removed == (answer == "y")
    assert "1 files listed" in run.said
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_a_run_that_is_stopped(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile,
    on_terminal: Callable[..., Awaitable[Process]], how: signal.Signals,
) -> None:  # fmt: skip
    await hand.put(ORPHAN)
    hand.age()
    before = await state(db)
    stall = Fault.stall()
    storage.faults.once("info", stall)
    run = await on_terminal("--fix", "--yes")
    await stall.reached.wait()

    run.process.send_signal(how)

    assert await run.ended() == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGKILL:
        assert tuple(await db.fetchrow(LEFT_OVER)) == (1, 1, 1)
        await db.execute("update media_reconcile_runs set seen_at = now() - interval '61 min'")
    else:
        assert await state(db) == before
    stall.released.set()
    ended = await reconcile("--json", "--fix", "--yes")
    assert (ended.code, ended.totals["fixed"]) == (0, 1)
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)
