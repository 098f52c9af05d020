"""`pgmedia status --watch` on a real terminal of 80 columns and 24 lines."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.filesize import decimal

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import children, eventually, pgmedia, queue_media
from tests.test_cli_show import busy_store

JPEG = SAMPLES[0].read() + b"\0" * 300_000


STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Watching:
    """The command on a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self.terminal = terminal
        self.said = ""
        self.before = termios.tcgetattr(terminal)
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            self.said += os.read(self.terminal, 65_536).decode()
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self.terminal)

    def press(self, key: str) -> None:
        os.write(self.terminal, key.encode())

    async def shows(self, words: str) -> None:
        await eventually(lambda: words in STYLE.sub("", self.said))

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


Watch = Callable[..., Awaitable[Watching]]


@pytest.fixture
async def watch(operator: str, tmp_path: Path) -> AsyncIterator[Watch]:
    started: list[tuple[Watching, int]] = []

    async def start(dsn: str = operator, every: str = "1s") -> Watching:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "status", "--watch", "--every", every,
            env={"PATH": os.environ["PATH"], "TERM": "xterm", "DATABASE_URL": dsn},
            cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        started.append((Watching(process, ours), theirs))
        return started[-1][0]

    yield start
    for one, theirs in started:
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
        asyncio.get_running_loop().remove_reader(one.terminal)
        os.close(one.terminal)
        os.close(theirs)


ALTERNATE, MAIN, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


def is_restored(watching: Watching) -> bool:
    after = termios.tcgetattr(watching.terminal)
    return (
        after == watching.before
        and watching.said.count(ALTERNATE) == watching.said.count(MAIN) == 1
        and watching.said.rfind(SHOW_CURSOR) > watching.said.rfind("\x1b[?25l")
        and "Traceback" not in watching.said
    )


@pytest.mark.parametrize("how", ["q", "\x03", "sigterm"])
async def test_it_ends_and_the_terminal_is_as_before(watch: Watch, how: str) -> None:
    watching = await watch()
    await watching.shows("none alive")
    if how == "\x03":
        watching.process.send_signal(signal.SIGINT)  # as the terminal's line discipline does
    elif how == "sigterm":
        watching.process.terminate()
    else:
        watching.press(how)

    assert await watching.ended() == 0

    await eventually(lambda: is_restored(watching))


async def test_the_work_in_hand_of_a_real_poller(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, watch: Watch
) -> None:
    stall = Fault.stall(after=150_000)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller(PGMEDIA_POLLER_NAME="poller-7", PGMEDIA_TIMEOUT_SECONDS="100")
    watching = await watch()

    await watching.shows(f"{str(media)[:8]}…")
    await watching.shows("poller-7  listen, 1 in hand")
    await watching.shows(f"of {decimal(len(JPEG))}")
    work = await db.fetchval("select work -> 0 from media_pollers")
    assert '"step": "download"' in work
    assert f'"bytes_total": {len(JPEG)}' in work
    assert '"bytes_done": 0,' not in work
    stall.released.set()
    await eventually(lambda: db.fetchval("select processed from media"))
    await eventually(lambda: db.fetchval("select work = '[]' from media_pollers"))


async def test_a_busy_store_fits_into_the_terminal(db: Any, watch: Watch) -> None:
    await busy_store(db)
    for number in range(5):
        await db.execute(
            "insert into media_pollers (poller, version, mode, in_flight, work)"
            " select $1, '1', 'listen', 8, jsonb_agg(jsonb_build_object('id', gen_random_uuid(),"
            " 'step', 'download', 'bytes_done', 512000, 'bytes_total', 1024000, 'seconds', 12.5))"
            " from generate_series(1, 8)",
            f"worker-{number}-{'long' * 10}",
        )
    watching = await watch()
    await watching.shows("worker-4")

    view = STYLE.sub("", watching.said.partition(ALTERNATE)[2])
    for words in (
        "oldest due for 2 min, 3 pending, 1 failed, 1 to remove",
        "last minute 3 files, 3.0 kB; hour 3; day 3", "3 calls refused since yesterday",
        "whatsapp:106540352242922: for another 10 min: whatsapp_token_refused",
        "1 media_expired_or_foreign", "no such media", "all ", "by storing content once",
        "worker-0", "listen, 8 in hand, seen",
    ):  # fmt: skip
        assert words in view, view


async def test_a_database_that_goes_away_is_said_and_waited_for(
    own_server: PostgresServer, watch: Watch
) -> None:
    watching = await watch(own_server.dsn())
    await watching.shows("none alive")
    own_server.stop(signal.SIGQUIT)
    await watching.shows("the database is away for")
    own_server.start()
    watching.said = ""
    await eventually(lambda: "pollers" in watching.said and "away" not in fresh(watching))
    watching.press("q")
    assert await watching.ended() == 0


def fresh(watching: Watching) -> str:
    """What was said since the last look."""
    said, watching.said = watching.said, ""
    return said or "away"


def test_it_is_for_a_terminal(operator: str, tmp_path: Path) -> None:
    done = pgmedia("status", "--watch", cwd=tmp_path, DATABASE_URL=operator)
    assert done.returncode == 2
    assert "--watch is for a terminal" in done.stderr


async def test_a_server_that_stands_still_is_said(own_server: PostgresServer, watch: Watch) -> None:
    """It takes calls, and cancellations, and answers none."""
    watching = await watch(own_server.dsn())
    await watching.shows("none alive")
    postmaster = int((own_server.folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)
    others = children(postmaster)
    try:
        for one in others:
            os.kill(one, signal.SIGSTOP)
        await watching.shows("the database is away for")
        watching.press("q")
        assert await watching.ended() == 0
    finally:
        for one in (*others, postmaster):
            os.kill(one, signal.SIGCONT)


@pytest.mark.parametrize("command", [("status", "--watch", "--every"), ("doctor", "--within")])
def test_no_time_at_all_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = pgmedia(*command, "0s", cwd=tmp_path)

    assert done.returncode == 2
    assert "'0s' is too short" in done.stderr
