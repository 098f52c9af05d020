"""A door whose login may not store what comes, from the start or later."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from tests.helpers import as_database, as_user, create_login
from tests.webhook.conftest import StartDoor
from tests.webhook.test_door import run_door


async def test_a_login_that_may_not_store_does_not_begin(
    db: Any, database: str, tmp_path: Path
) -> None:
    await db.execute(create_login("mixed_up", "secret", "media_poller"))
    settings = {
        "DATABASE_URL": as_user(database, "mixed_up", "secret"),
        "WHATSAPP_APP_SECRET": "a",
        "WHATSAPP_VERIFY_TOKEN": "b",
        "PGMEDIA_WEBHOOK_PORT": "0",
        "PGMEDIA_LOG_FORMAT": "plain",
    }

    done = await asyncio.to_thread(run_door, tmp_path, settings)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "permission denied for function receive_whatsapp_webhook" in last
    assert "media_client" in last
    settings["DATABASE_URL"] = as_database(database, "postgres")
    done = await asyncio.to_thread(run_door, tmp_path, settings)
    assert done.returncode == 1
    assert "run pgmedia migrate" in done.stderr.splitlines()[-1]


async def test_a_login_that_loses_its_right_is_not_ready(
    db: Any, start_door: StartDoor, http: httpx.AsyncClient
) -> None:
    door = await start_door(PGMEDIA_METRICS_PORT="0")
    found = re.search(r"metrics: on (http://[\d.]+:\d+)", door.log.read_text())
    assert found
    assert (await http.get(f"{found[1]}/readyz")).status_code == 200

    await db.execute(
        "revoke execute on function receive_whatsapp_webhook from media_client, media_admin"
    )

    answer = await http.get(f"{found[1]}/readyz")
    assert answer.status_code == 503
    assert "calls cannot be stored: " in answer.text
    assert "permission denied" in answer.text
