"""How long webhook calls take: `make bench-webhook`, or with a folder of Postgres programs.

First a history of 50 to 5,000 messages with media in one SQL call, and how its time grows. Then 50
calls a second at a real `pgmedia webhook`, while a real poller fetches what they queue.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.webhook.payloads import (
    APP_SECRET,
    VERIFY_TOKEN,
    history,
    media,
    message,
    received,
    signature,
)

SIZES = (50, 100, 500, 1000, 5000)
ROUNDS = 3
CALLS_PER_SECOND = 50
SECONDS = 30
DURABLE: dict[str, str] = {}
"""Postgres's own settings: every commit is on disk when it is answered."""


async def measure_history(dsn: str) -> None:
    db: Any = await asyncpg.connect(dsn)
    print("messages      MB   new call  ms/message  the same again")
    per_message: dict[int, float] = {}
    for size in SIZES:
        fresh: list[float] = []
        repeated: list[float] = []
        body = ""
        for _ in range(ROUNDS):
            body = json.dumps(history(*[message() for _ in range(size)], threads=10))
            for seconds in (fresh, repeated):
                begun = time.perf_counter()
                await db.fetchval("select receive_whatsapp_webhook($1)", body)
                seconds.append(time.perf_counter() - begun)
        call = statistics.median(fresh)
        per_message[size] = call / size
        print(
            f"{size:8} {len(body) / 1e6:7.2f} {call * 1000:7.0f} ms {call / size * 1000:11.3f}"
            f" {statistics.median(repeated) * 1000:12.0f} ms"
        )
    growth = per_message[SIZES[-1]] / per_message[500]
    print(f"from 500 to {SIZES[-1]} messages, the time of one grows {growth:.2f} times")
    await db.close()


async def measure_door(dsn: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with WhatsAppApi() as whatsapp, StorageApi(Path(folder) / "files") as storage:
            environment = os.environ | {
                "DATABASE_URL": dsn,
                "SUPABASE_URL": storage.url,
                "SUPABASE_SERVICE_KEY": storage.service_key,
                "WHATSAPP_API_URL": whatsapp.url,
                "WHATSAPP_TOKEN": whatsapp.token,
                "WHATSAPP_APP_SECRET": APP_SECRET,
                "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
                "PGMEDIA_WEBHOOK_PORT": "0",
            }
            await run("buckets", environment)
            poller = await start("poll", environment)
            door = await start("webhook", environment)
            url = await address_of(door)
            answered = await call_steadily(url, whatsapp)
            db: Any = await asyncpg.connect(dsn)
            stored = await db.fetchval("select count(*) from media where processed")
            await db.close()
            for process in (door, poller):
                process.terminate()
            await asyncio.gather(*[process.communicate() for process in (door, poller)])
    cuts = statistics.quantiles(answered, n=100)
    p50, p99, most = (1000 * seconds for seconds in (cuts[49], cuts[98], max(answered)))
    print(f"{len(answered)} calls at {CALLS_PER_SECOND} a second, {stored} files stored meanwhile:")
    print(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms")


async def call_steadily(url: str, whatsapp: WhatsAppApi) -> list[float]:
    """Seconds each call took, from when it was due; a slow call does not hold up the next."""
    answered: list[float] = []

    async def call(body: bytes, due: float) -> None:
        headers = {"X-Hub-Signature-256": signature(body)}
        answer = await http.post(url, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        answered.append(time.perf_counter() - due)

    async with httpx.AsyncClient(timeout=30) as http, asyncio.TaskGroup() as tasks:
        begun = time.perf_counter()
        for number in range(CALLS_PER_SECOND * SECONDS):
            media_id = whatsapp.add_media(variant(SAMPLES[0], number), "image/jpeg")
            one = message(image=media(id=media_id, sha256=None))
            body = json.dumps(received(one)).encode()
            due = begun + number / CALLS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(call(body, due))
    return answered


async def run(command: str, environment: dict[str, str]) -> None:
    process = await start(command, environment)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def start(command: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", command, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=2**26,
    )  # fmt: skip


async def address_of(door: asyncio.subprocess.Process) -> str:
    assert door.stdout is not None
    async for line in door.stdout:
        if found := re.search(rb"running on (http://[\d.:]+)", line):
            return f"{found[1].decode()}/webhook"
    raise RuntimeError("the door did not open")


async def main() -> None:
    programs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with PostgresServer(programs, settings=DURABLE) as postgres:
        db: Any = await asyncpg.connect(postgres.dsn())
        print(await db.fetchval("select version()"))
        for name, measure in (("history", measure_history), ("door", measure_door)):
            await db.execute(f"create database {name}")
            await asyncio.to_thread(migrate, SecretStr(postgres.dsn(name)))
            await measure(postgres.dsn(name))
        await db.close()


asyncio.run(main())
