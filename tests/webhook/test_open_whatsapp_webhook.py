"""The door through PostgREST across upgrades, as far as the database alone can show it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer
from tests.helpers import pgmedia

MAY = "select has_function_privilege('anon', 'whatsapp_webhook(json)', 'execute')"


@pytest.fixture
async def opened() -> AsyncIterator[tuple[str, Any]]:
    """A database whose door is open, on a server of its own: roles belong to the server."""
    with PostgresServer() as server:
        await asyncio.to_thread(migrate, SecretStr(server.dsn()))
        db: Any = await asyncpg.connect(server.dsn())
        await db.execute("create role anon nologin")
        await db.execute("select set_whatsapp_secrets('secret', 'token')")
        await db.execute("select open_whatsapp_webhook()")
        yield server.dsn(), db
        await db.close()


async def test_an_upgrade_closes_the_door_when_the_role_has_gone(
    opened: tuple[str, Any], tmp_path: Path
) -> None:
    dsn, db = opened
    await db.execute("drop owned by anon")
    await db.execute("drop role anon")

    done = await asyncio.to_thread(pgmedia, "migrate", "--yes", cwd=tmp_path, DATABASE_URL=dsn)

    assert done.returncode == 0, done.stdout
    assert "warning: whatsapp_webhook is closed now: there is no role anon" in done.stderr
    assert not await db.fetchval("select webhook_open from media_secrets")
    await db.execute("create role anon nologin")
    again = await asyncio.to_thread(pgmedia, "migrate", "--yes", cwd=tmp_path, DATABASE_URL=dsn)
    assert (again.returncode, again.stderr) == (0, "")
    assert not await db.fetchval(MAY)


async def test_an_upgrade_closes_the_door_when_the_secrets_have_gone(
    opened: tuple[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    dsn, db = opened
    await db.execute("update media_secrets set app_secret = null")

    await asyncio.to_thread(migrate, SecretStr(dsn))

    assert "the webhook has no secrets" in caplog.text
    assert not await db.fetchval("select webhook_open from media_secrets")
    assert not await db.fetchval(MAY)
