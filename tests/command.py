"""The command `pgmedia` as an operator runs it, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.postgres import free_port
from tests.helpers import pgmedia

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]


SECRET = "hunter2"


@pytest.fixture
def run(environment: dict[str, str], operator: str, tmp_path: Path) -> Run:
    """Run the command to its end, as an operator; its exit code and its lines.

    No line may hold a secret.
    """

    async def run_command(*arguments: str, **changes: str) -> tuple[int, list[str], list[str]]:
        settings: dict[str, Any] = environment | {"DATABASE_URL": operator} | changes
        done = await asyncio.to_thread(pgmedia, *arguments, cwd=tmp_path, **settings)
        output = done.stdout + done.stderr
        for secret in (settings["SUPABASE_SERVICE_KEY"], settings["WHATSAPP_TOKEN"], SECRET):
            assert secret not in output
        assert "Traceback" not in output
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_command


@pytest.fixture
def nowhere() -> str:
    """DSN of a port at which nothing listens."""
    return f"postgresql://user:{SECRET}@127.0.0.1:{free_port()}/database"
