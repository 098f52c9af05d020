"""The content check: real children, and doubles that crash and hang where no real file does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poller.content import Spool
from poller.inspector import InspectionError, Inspector
from poller.sandbox.samples import SAMPLES

MEMORY = 1_073_741_824

# A child that does to itself what the content says, and is well otherwise.
DOUBLE = """
import json, os, sys, time
while line := sys.stdin.buffer.readline():
    content = sys.stdin.buffer.read(json.loads(line)["size"])
    if content == b"crash":
        os.abort()
    if content == b"hang":
        time.sleep(3600)
    if content == b"babble":
        print("no json", flush=True)
    print(json.dumps({"facts": {"mime_type": str(os.getpid())}}), flush=True)
"""


@contextmanager
def spooled(content: bytes, memory_bytes: int = 1_000_000_000) -> Generator[Spool]:
    with Spool(memory_bytes, None) as spool:
        spool.write(content)
        yield spool


async def look(inspector: Inspector, content: bytes) -> str:
    with spooled(content) as spool:
        return (await inspector.examine(spool))["mime_type"]


def doubles(seconds: float = 30) -> Inspector:
    return Inspector(
        children=1, seconds=seconds, memory_bytes=MEMORY, command=[sys.executable, "-c", DOUBLE]
    )


@pytest.mark.parametrize("memory_bytes", [0, 1_000_000])
async def test_the_type_is_read_in_a_child(memory_bytes: int) -> None:
    async with Inspector(children=1, seconds=30, memory_bytes=MEMORY) as inspector:
        with spooled(SAMPLES[0].read(), memory_bytes) as spool:
            assert (await inspector.examine(spool))["mime_type"] == "image/jpeg"


async def test_the_check_sees_a_download_on_disk_to_its_last_byte() -> None:
    content = next(one for one in SAMPLES if one.name.endswith(".xls")).read()
    async with Inspector(children=1, seconds=30, memory_bytes=MEMORY) as inspector:
        with Spool(0, None) as spool:
            for start in range(0, len(content), 250):
                spool.write(content[start : start + 250])
            facts = await inspector.examine(spool)
    assert facts["mime_type"] == "application/vnd.ms-excel"


async def test_a_child_serves_one_file_after_the_other() -> None:
    async with doubles() as inspector:
        assert await look(inspector, b"one") == await look(inspector, b"two")


@pytest.mark.parametrize(
    ("harm", "words"),
    [(b"crash", "exit code -6"), (b"hang", "more than"), (b"babble", "exit code")],
)
async def test_a_lost_child_is_replaced(harm: bytes, words: str) -> None:
    async with doubles(seconds=1 if harm == b"hang" else 30) as inspector:
        first = await look(inspector, b"one")

        with pytest.raises(InspectionError, match=words):
            await look(inspector, harm)

        assert await look(inspector, b"two") != first


async def test_a_child_that_takes_too_much_memory_fails_alone() -> None:
    async with Inspector(children=1, seconds=30, memory_bytes=268_435_456) as inspector:
        with pytest.raises(InspectionError, match="exit code 1"):
            await look(inspector, bytes(300_000_000))

        assert await look(inspector, SAMPLES[0].read()) == "image/jpeg"


@pytest.mark.parametrize("request_line", [b'{"size": 3}\nabc', b'{"si'])
def test_a_child_whose_poller_was_killed_ends_silently(request_line: bytes) -> None:
    command = [sys.executable, "-m", "poller.inspection", str(MEMORY), "30"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        child.stdin.write(request_line)
        child.stdin.close()
        assert child.stderr.read() == b""


def test_a_check_that_hangs_ends_without_its_poller(tmp_path: Path) -> None:
    """The content is a pipe that nobody writes to: opening it waits for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    child = subprocess.run(
        [sys.executable, "-m", "poller.inspection", str(MEMORY), "1"],
        input=json.dumps({"path": str(pipe)}).encode() + b"\n",
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip

    assert child.returncode == -signal.SIGALRM
