"""A demo in a process and a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import eventually


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo in a process and a folder of its own."""

    process: asyncio.subprocess.Process
    folder: Path
    output: Path

    @property
    def files(self) -> Path:
        return self.folder / "sandbox" / "files"

    async def shown(self, pattern: str) -> str:
        """Wait until the output matches; the first group."""

        def search() -> str | None:
            found = re.search(pattern, self.output.read_text(), re.MULTILINE)
            assert found or not self.ended, self.output.read_text()
            return found[1] if found else None

        return await eventually(search)

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    async def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 30)

    def processes(self) -> list[str]:
        """The command lines of all processes that belong to this demo, in any session."""
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and self.mark in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
        return found

    def environment_of(self, words: str) -> dict[str, str]:
        """The environment of the process of this demo that has these words in its command line."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                environ = (entry / "environ").read_bytes() if entry.name.isdecimal() else b""
                if self.mark in environ and words in (entry / "cmdline").read_text().replace(
                    "\0", " "
                ):
                    pairs = (one.partition("=") for one in environ.decode().split("\0"))
                    return {name: value for name, _, value in pairs}
        return {}

    @property
    def mark(self) -> bytes:
        return f"PGMEDIA_TEST_DEMO={self.folder}\0".encode()


Start = Callable[..., Awaitable[Demo]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a demo, by default no terminal's; at the end nothing of it may be left."""
    started: list[Demo] = []

    async def start_demo(*arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> Demo:
        output = tmp_path / f"output-{len(started)}.txt"
        with output.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "poller", "demo", *arguments,
                env={"PATH": os.environ["PATH"], "PGMEDIA_TEST_DEMO": str(tmp_path)},
                cwd=tmp_path, stdin=stdin, stdout=stream, stderr=stream,
            )  # fmt: skip
        started.append(Demo(process, tmp_path, output))
        return started[-1]

    yield start_demo
    for one in started:
        if not one.ended:
            one.process.kill()
            await one.process.wait()
