"""The door for Meta as a real process, and a client that calls it as Meta does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import PollerProcess
from tests.helpers import as_user, create_login, eventually
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN, signature

CLIENT_USER, CLIENT_PASSWORD = "pgmedia_test_client", "pgmedia-test-password"

CREATE_CLIENT_USER = create_login(CLIENT_USER, CLIENT_PASSWORD, "media_client")


@dataclass(frozen=True, slots=True)
class Meta:
    """Calls a webhook as Meta does."""

    http: httpx.AsyncClient
    url: str

    async def post(self, payload: object, **headers: str) -> httpx.Response:
        """Send a call, signed; `headers` come over the signature, with _ for -."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signed = {"X-Hub-Signature-256": signature(body), "Content-Type": "application/json"}
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in signed.items()]
        return await self.http.post(self.url, content=body, headers=raw)

    async def verify(
        self,
        token: str = VERIFY_TOKEN,
        mode: str = "subscribe",
        challenge: str = "1158201444",
        accept: str = "*/*",
    ) -> httpx.Response:
        parameters = {"hub.mode": mode, "hub.challenge": challenge, "hub.verify_token": token}
        return await self.http.get(self.url, params=parameters, headers={"Accept": accept})


@dataclass(frozen=True, slots=True)
class DoorProcess(PollerProcess):
    """A real `pgmedia webhook` in a process of its own, and Meta at it."""

    meta: Meta


StartDoor = Callable[..., Awaitable[DoorProcess]]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture
async def start_door(
    database: str, http: httpx.AsyncClient, tmp_path: Path
) -> AsyncIterator[StartDoor]:
    """Start the door as media_client alone; at the end all are killed, and no log has a secret."""
    started: list[DoorProcess] = []
    owner: Any = await asyncpg.connect(database)
    await owner.execute(CREATE_CLIENT_USER)
    await owner.close()

    async def start(**changes: str) -> DoorProcess:
        log = tmp_path / f"door-{len(started)}.log"
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": as_user(database, CLIENT_USER, CLIENT_PASSWORD),
            "WHATSAPP_APP_SECRET": APP_SECRET,
            "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
            "PGMEDIA_WEBHOOK_PORT": "0",
            "PGMEDIA_LOG_FORMAT": "plain",
        }
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "poller", "webhook",
                env=environment | changes, stdout=stream, stderr=stream, cwd=tmp_path,
            )  # fmt: skip
        ready = re.compile(r"running on (http://[\d.]+:\d+)")
        found = await eventually(lambda: ready.search(log.read_text()))
        started.append(DoorProcess(process, log, Meta(http, f"{found[1]}/webhook")))
        return started[-1]

    yield start
    for one in started:
        if one.process.returncode is None:
            one.kill()
            await one.process.wait()
        text = one.log.read_text()
        assert not [s for s in (APP_SECRET, VERIFY_TOKEN, CLIENT_PASSWORD) if s in text]
