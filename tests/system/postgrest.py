"""A real PostgREST, fetched once, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from poller.sandbox.postgres import free_port
from tests.helpers import eventually
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN

REPOSITORY = Path(__file__).parents[2]
PROGRAM = REPOSITORY / ".cache" / "postgrest" / "postgrest"

USER, PASSWORD = "pgmedia_test_authenticator", "pgmedia-test-password"

CREATE_ROLES = f"""
do $$
begin
    create role anon nologin;
exception when duplicate_object or unique_violation then
    null;
end $$;
do $$
begin
    create role {USER} login noinherit password '{PASSWORD}';
exception when duplicate_object or unique_violation then
    null;
end $$;
grant anon to {USER};
"""


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


async def open_door(admin: Any) -> None:
    await admin.execute("select set_whatsapp_secrets($1, $2)", APP_SECRET, VERIFY_TOKEN)
    await admin.execute("select open_whatsapp_webhook()")


async def refusals(db: Any) -> dict[str, int]:
    rows = await db.fetch("select reason, refusals from whatsapp_webhook_refusals")
    return {row["reason"]: row["refusals"] for row in rows}
