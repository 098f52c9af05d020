"""A shell for the commands of the documentation, on the stand-ins."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from poller.cli import app
from tests.conftest import POLLER_PASSWORD
from tests.urls.conftest import StoreFile, store_file
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN

__all__ = ["StoreFile", "store_file"]

BIN = Path(sys.executable).parent
UNASKED = {"--yes", "--dry-run", "--check"}
LASTING = ("pgmedia poll", "pgmedia webhook")
"""Commands that run until they are told to stop."""
READY = re.compile(r"\d at once$|running on (http\S+)$")
"""What they log when they work, or can be asked by HTTP whether they do."""


def answered(text: str) -> str:
    """A command that asks on a terminal is given the answer."""
    words = text.split()
    group: Any = typer.main.get_command(app)
    if words[0] != "pgmedia" or words[1] not in group.commands or UNASKED & set(words):
        return text
    asks = any("--yes" in one.opts for one in group.commands[words[1]].params)
    return f"{text} --yes" if asks else text


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    output: str


Shell = Callable[[str], Awaitable[Ran]]


@pytest.fixture
def shell(environment: dict[str, str], database: str, operator: str, tmp_path: Path) -> Shell:
    """Run a command in the role that it needs; no output may hold a secret."""
    poller = environment["DATABASE_URL"]
    logins = {"pgmedia migrate": database, "pgmedia poll": poller, "pgmedia doctor": poller}
    settings = environment | {
        "PATH": f"{BIN}:{environment['PATH']}",
        "WHATSAPP_APP_SECRET": APP_SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
        "PGMEDIA_WEBHOOK_PORT": "0",
    }

    async def run(command: str) -> Ran:
        login = next((dsn for name, dsn in logins.items() if command.startswith(name)), operator)
        ran = await run_in_shell(command, settings | {"DATABASE_URL": login}, tmp_path)
        for secret in (settings["SUPABASE_SERVICE_KEY"], settings["WHATSAPP_TOKEN"]):
            assert secret not in ran.output
        assert POLLER_PASSWORD not in ran.output
        assert "Traceback" not in ran.output, ran.output
        return ran

    return run


async def run_in_shell(command: str, environment: dict[str, str], folder: Path) -> Ran:
    """Run a command to its end; what lasts is stopped as soon as it is ready."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", f"exec {command}" if command.startswith(LASTING) else command,
        env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(60):
            async for line in process.stdout:
                lines.append(line.decode())
                if command.startswith(LASTING) and (ready := READY.search(lines[-1].strip())):
                    if ready[1]:
                        async with httpx.AsyncClient() as client:
                            await client.get(f"{ready[1]}/webhook")
                    process.terminate()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    return Ran(code, "".join(lines))
