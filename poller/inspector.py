"""Look into files, and encode them, in children: one that crashes or hangs harms only itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from poller.content import PIECE_BYTES, Spool

HAS_DESCRIPTOR_PATHS = Path("/proc/self/fd").exists()


class InspectionError(Exception):
    """A file could not be looked into: the child crashed, took too long, or said why not."""

    code = "check_failed"


class FileKeptError(InspectionError):
    """A file cannot be encoded without harm, however often it is tried."""

    code = "kept"


class Inspector:
    """Up to `children` processes, started when first needed and again when one was lost.

    `seconds` and `memory_bytes` are the limits of one look into one file.
    """

    def __init__(
        self,
        *,
        children: int,
        seconds: float,
        memory_bytes: int,
        command: Sequence[str] = (sys.executable, "-m", "poller.inspection"),
    ) -> None:
        self._command = [*command, str(memory_bytes), str(math.ceil(seconds) + 1)]
        self._seconds = seconds
        self._free = asyncio.Semaphore(children)
        self._idle: list[asyncio.subprocess.Process] = []

    async def examine(self, spool: Spool) -> dict[str, Any]:
        """What the bytes of a download are: the facts of poller.checks. Raises InspectionError."""
        return (await self._asked(spool, {}))["facts"]

    async def encode(self, spool: Spool, plan: dict[str, Any], encoded: Spool) -> dict[str, Any]:
        """Make of a download what `plan` says, into `encoded`; returns the facts of the result.

        Raises InspectionError, FileKeptError where the file must stay as it is, and SpoolError.
        """
        answer = await self._asked(spool, {"encode": plan}, encoded)
        if "kept" in answer:
            raise FileKeptError(answer["kept"])
        return answer["facts"]

    async def _asked(
        self, spool: Spool, request: dict[str, Any], result: Spool | None = None
    ) -> dict[str, Any]:
        async with self._free:
            child = await self._child()
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await _ask(child, spool, request)
                    await _receive(child, answer.get("size", 0), result)
            except TimeoutError:
                raise InspectionError(f"it took more than {self._seconds} s") from None
            except (OSError, ValueError, EOFError):
                with contextlib.suppress(TimeoutError):  # a crash has a code of its own
                    await asyncio.wait_for(child.wait(), 1)
                await _end(child)
                raise InspectionError(f"it ended with exit code {child.returncode}") from None
            else:
                if not answer.get("last"):
                    self._idle.append(child)
            finally:
                if child not in self._idle:
                    await _end(child)
        if "error" in answer:
            raise InspectionError(answer["error"])
        return answer

    async def _child(self) -> asyncio.subprocess.Process:
        while self._idle:
            child = self._idle.pop()
            if child.returncode is None:
                return child
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the poller, which may still need it
        )

    async def close(self) -> None:
        for child in self._idle:
            await _end(child)
        self._idle.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _ask(
    child: asyncio.subprocess.Process, spool: Spool, request: dict[str, Any]
) -> dict[str, Any]:
    assert child.stdin is not None  # noqa: S101
    assert child.stdout is not None  # noqa: S101
    if spool.in_memory or not HAS_DESCRIPTOR_PATHS:
        content = spool.read()
        child.stdin.write(json.dumps(request | {"size": len(content)}).encode() + b"\n")
        child.stdin.write(content)
    else:  # the file has no name: the child opens it through this process's descriptor
        path = f"/proc/{os.getpid()}/fd/{spool.descriptor}"
        child.stdin.write(json.dumps(request | {"path": path}).encode() + b"\n")
    await child.stdin.drain()
    line = await child.stdout.readline()
    if not line:
        raise EOFError
    return json.loads(line)


async def _receive(child: asyncio.subprocess.Process, size: int, result: Spool | None) -> None:
    """Take the bytes that follow an answer, in pieces as they come."""
    assert child.stdout is not None  # noqa: S101
    while size and result is not None:
        piece = await child.stdout.read(min(size, PIECE_BYTES))
        if not piece:
            raise EOFError
        result.write(piece)
        size -= len(piece)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
    await child.wait()
