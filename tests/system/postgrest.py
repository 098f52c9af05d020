"""A real PostgREST, fetched once, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

from poller.sandbox.postgres import free_port
from tests.helpers import eventually

REPOSITORY = Path(__file__).parents[2]
PROGRAM = REPOSITORY / ".cache" / "postgrest" / "postgrest"


def fetch() -> Path:
    """The program, which is fetched when it is not there yet."""
    subprocess.run(
        [REPOSITORY / "tests" / "fetch_postgrest.sh", PROGRAM.parent], check=True, timeout=100
    )
    return PROGRAM


@contextlib.asynccontextmanager
async def serving(dsn: str, log: Path, **settings: str) -> AsyncGenerator[str]:
    """Serve schema public of a database, with the role anon for who has no key; yields the URL."""
    program, port = await asyncio.to_thread(fetch), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PGRST_DB_URI": dsn,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        **settings,
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            program, env=environment, stdout=stream, stderr=stream
        )
    try:
        await eventually(lambda: "Schema cache loaded" in log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()
