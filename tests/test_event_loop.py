"""The event loop of `pgmedia poll` and `pgmedia webhook`."""

from __future__ import annotations

import subprocess
import sys

SHOW = """
import asyncio, sys
{before}
from poller.event_loop import run_fast

async def main():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]

print(run_fast(main()))
"""


def loop_used(before: str = "") -> str:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW.format(before=before)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return shown.stdout.strip()


def test_it_is_uvloop() -> None:
    assert loop_used() == "uvloop"


def test_without_uvloop_it_is_asyncios_own() -> None:
    assert loop_used("sys.modules['uvloop'] = None") == "asyncio"
