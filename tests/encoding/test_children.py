"""The children that encode: what they leave behind, and what the poller's loop has of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import tracemalloc
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from poller.checks import Content
from poller.content import Spool
from poller.encoding import encode
from poller.inspector import InspectionError, Inspector
from tests.encoding.images import exif, photo, saved
from tests.helpers import children, eventually, sha256

LOSSLESS = {"from": "image/bmp", "codec": "png", "drop_metadata": True}
STALL_MOST_SECONDS = 0.05
ROUNDS = 10

# A child that hangs with all that it was given, or sends as many bytes as it is asked for.
DOUBLE = """
import json, sys, time
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    sys.stdin.buffer.read(request.get("size", 0))
    if "hang" in request["encode"]:
        time.sleep(3600)
    size = request["encode"]["send"]
    print(json.dumps({"facts": {}, "size": size}), flush=True)
    for _ in range(size // 1_000_000):
        sys.stdout.buffer.write(bytes(1_000_000))
    sys.stdout.buffer.flush()
    if "stop" in request["encode"]:
        break
"""


def encoders() -> list[int]:
    """The children of this process that encode; a Postgres of other tests is one, too."""
    found = list[int]()
    for pid in children(os.getpid()):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"poller.inspection" in command or DOUBLE.encode() in command:
            found.append(pid)
    return found


@contextmanager
def spooled(content: bytes, folder: Path | None = None) -> Generator[tuple[Spool, Spool]]:
    """A download, and an empty place for its result, both on disk."""
    with Spool(0, folder) as spool, Spool(100_000, folder) as encoded:
        spool.write(content)
        yield spool, encoded


def encoder(*, count: int = 1, seconds: float = 60, double: bool = False) -> Inspector:
    command = [sys.executable, *(["-c", DOUBLE] if double else ["-m", "poller.inspection"])]
    return Inspector(children=count, seconds=seconds, memory_bytes=1_610_612_736, command=command)


async def test_a_result_comes_whole_with_its_facts(tmp_path: Path) -> None:
    content = saved(photo(600, 400), "BMP")
    async with encoder() as child:
        with spooled(content, tmp_path) as (spool, encoded):
            facts = await child.encode(spool, LOSSLESS, encoded)
            assert facts["mime_type"] == "image/png"
            assert (facts["width"], facts["height"]) == (600, 400)
            assert encoded.sha256 == sha256(bytes(encoded.read()))
            assert encoded.size == len(encoded.read()) < spool.size
            assert os.listdir(tmp_path) == []  # noqa: PTH208 - neither has a name


async def test_a_child_that_encoded_a_large_file_gives_its_memory_back() -> None:
    async with encoder() as child:
        with spooled(saved(photo(60, 40), "BMP")) as (spool, encoded):
            await child.encode(spool, LOSSLESS, encoded)
        assert encoders() == []
    stripping = {"from": "image/jpeg", "drop_metadata": True}
    async with encoder() as child:
        for _ in range(2):
            with spooled(saved(photo(60, 40), "JPEG", exif=exif())) as (spool, encoded):
                await child.encode(spool, stripping, encoded)
        assert len(encoders()) == 1  # the same one


async def test_why_a_file_stays_as_it_is_is_said() -> None:
    async with encoder() as child:
        with spooled(saved(photo(60, 40).convert("CMYK"), "TIFF")) as (spool, encoded):
            with pytest.raises(InspectionError, match="CMYK"):
                await child.encode(spool, LOSSLESS | {"from": "image/tiff"}, encoded)
            assert encoded.size == 0


async def test_an_encoder_that_hangs_is_ended() -> None:
    async with encoder(seconds=0.5, double=True) as child:
        with (
            spooled(b"x") as (spool, encoded),
            pytest.raises(InspectionError, match=r"more than 0.5 s"),
        ):
            await child.encode(spool, {"hang": True}, encoded)
        assert encoders() == []


async def test_an_encoder_is_ended_with_the_work_on_its_file() -> None:
    """As when the lease is lost: see poller.loop."""
    async with encoder(double=True) as child:
        with spooled(b"x") as (spool, encoded):
            work = asyncio.create_task(child.encode(spool, {"hang": True}, encoded))
            await eventually(lambda: encoders())

            work.cancel()

            with pytest.raises(asyncio.CancelledError):
                await work
            assert encoders() == []


async def test_a_result_that_breaks_off_is_none() -> None:
    async with encoder(double=True) as child:
        with (
            spooled(b"x") as (spool, encoded),
            pytest.raises(InspectionError, match="exit code 0"),
        ):
            await child.encode(spool, {"send": 2_500_000, "stop": True}, encoded)


async def test_the_memory_of_the_poller_is_bounded_whatever_comes(tmp_path: Path) -> None:
    async with encoder(double=True) as child:
        with spooled(b"x", tmp_path) as (spool, encoded):
            await child.encode(spool, {"send": 1_000_000}, encoded)  # all is loaded
        with spooled(b"x", tmp_path) as (spool, encoded):
            tracemalloc.start()
            try:
                await child.encode(spool, {"send": 50_000_000}, encoded)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert encoded.size == 50_000_000
    assert peak < 2_000_000


# The same measure in a process that does nothing else: what is the machine's part?
CONTROL = """
import select, sys, time
longest = 0.0
while not select.select([sys.stdin], [], [], 0)[0]:
    before = time.perf_counter()
    time.sleep(0.001)
    longest = max(longest, time.perf_counter() - before)
print(longest)
"""


async def longest_stall(inspector: Inspector, content: bytes, at_once: int) -> float:
    """Of the loop while so many files are encoded, in seconds, without the machine's part."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    pipe = asyncio.subprocess.PIPE
    control = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONTROL, stdin=pipe, stdout=pipe
    )
    with ExitStack() as stack:
        spools = [stack.enter_context(spooled(content)) for _ in range(at_once)]
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0.01)
        await asyncio.gather(
            *(inspector.encode(spool, LOSSLESS, encoded) for spool, encoded in spools)
        )
        await asyncio.sleep(0.01)  # the watcher has seen the last of it
        watcher.cancel()
    told, _ = await control.communicate(b"\n")
    return longest - float(told)


async def test_the_loop_is_never_held_up_by_encoders() -> None:
    """The best of some rounds, as the machine may have other work than this test."""
    content = saved(photo(1600, 1200), "BMP")
    async with encoder(count=2) as inspector:
        for _ in range(ROUNDS):
            if await longest_stall(inspector, content, 4) < STALL_MOST_SECONDS:
                return
    pytest.fail(f"in none of {ROUNDS} rounds the loop came round within {STALL_MOST_SECONDS} s")


async def test_a_stall_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure above, of an encoder that does its work in the loop."""

    async def in_the_loop(_: Inspector, spool: Spool, plan: Any, encoded: Spool) -> None:
        encoded.write(encode(Content.of_bytes(bytes(spool.read())), plan))

    monkeypatch.setattr(Inspector, "encode", in_the_loop)
    content = saved(photo(1600, 1200), "BMP")
    async with encoder() as inspector:
        assert await longest_stall(inspector, content, 4) > STALL_MOST_SECONDS
