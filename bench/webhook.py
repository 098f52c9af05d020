"""How long webhook calls take: `make bench-webhook`, or with a folder of Postgres programs.

First a history of 50 to 5,000 messages with media in one SQL call, beside the bare writing of the
same rows. Then 50 calls a second, at a real `pgmedia webhook` and straight at the SQL function,
with and without a real poller that fetches what they queue.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from bench.webhook_calls import RECEIVE, call_steadily, percentile
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
)

SIZES = (50, 500, 5000)
ROUNDS = 5
CALLS_PER_SECOND = 50
SECONDS = int(os.environ.get("PGMEDIA_BENCH_SECONDS", "30"))
DURABLE: dict[str, str] = {}
"""Postgres's own settings: every commit is on disk when it is answered."""

# The bound of a call: its rows, written into tables alike with no questions asked.
ITS_MEDIA = """select m.id from media m join messages s on s.id = m.message_id
    where s.whatsapp_message_id = any ($2)"""
ROWS = {
    "whatsapp_webhook_events": "t.id = $1",
    "messages": "t.whatsapp_message_id = any ($2)",
    "media": f"t.id in ({ITS_MEDIA})",
    "media_processing_queue": f"t.id in ({ITS_MEDIA})",
    "media_audit_log": f"t.media_id in ({ITS_MEDIA})",
}


async def measure_history(dsn: str) -> None:
    db: Any = await asyncpg.connect(dsn)
    for table in ROWS:
        await db.execute(f"create table bare_{table} (like {table} including all)")
    copies = ", ".join(
        f"{table}_ as (insert into bare_{table} overriding system value"
        f" select t.* from {table} t where {condition})"
        for table, condition in ROWS.items()
    )
    print("messages |    MB | new call | a message | the rows alone | ratio | the same again")
    a_message: dict[int, float] = {}
    for size in SIZES:
        new: list[float] = []
        again: list[float] = []
        bare: list[float] = []
        body = ""
        for _ in range(ROUNDS):
            messages = [message() for _ in range(size)]
            body = json.dumps(history(*messages, threads=10))
            summary = json.loads(await timed(new, db.fetchval(RECEIVE, body)))
            ids = [one["id"] for one in messages]
            await timed(bare, db.execute(f"with {copies} select", summary["event_id"], ids))
            await timed(again, db.fetchval(RECEIVE, body))
        call, rows = statistics.median(new), statistics.median(bare)
        a_message[size] = call / size
        print(
            f"{size:8} | {len(body) / 1e6:5.2f} | {call:5.0f} ms | {call / size:6.3f} ms"
            f" | {rows:11.0f} ms | {call / rows:5.1f} | {statistics.median(again):11.0f} ms"
        )
    growth = a_message[5000] / a_message[500]
    print(f"from 500 to 5,000 messages, the time of one grows {growth:.2f} times")
    await db.close()


async def timed(times: list[float], call: Awaitable[Any]) -> Any:
    """Add the milliseconds that the call takes; return its answer."""
    begun = time.perf_counter()
    answer = await call
    times.append(1000 * (time.perf_counter() - begun))
    return answer


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
            async with running("buckets", environment) as buckets:
                await buckets.wait()
            print("50 calls a second, ms    |    p50 |    p99 |   most | sent late, p99 | load")
            async with running("webhook", environment) as door:
                url = await address_of(door)
                async with running("poll", environment):
                    await measure("door, as both start", url, whatsapp)
                    await measure("door, with a poller", url, whatsapp)
                    await measure("SQL alone, with a poller", dsn, whatsapp)
                await measure("door, no poller", url, whatsapp)
                await measure("SQL alone, no poller", dsn, whatsapp)
                async with running("poll", environment):  # what these two queued is a backlog
                    await measure("door, poller catches up", url, whatsapp)
            db: Any = await asyncpg.connect(dsn)
            stored = await db.fetchval("select count(*) from media where processed")
            await db.close()
    print(f"the poller stored {stored} files")


numbers = itertools.count()


async def measure(name: str, address: str, whatsapp: WhatsAppApi) -> None:
    bodies: list[bytes] = []
    for _ in range(CALLS_PER_SECOND * SECONDS):
        media_id = whatsapp.add_media(variant(SAMPLES[0], next(numbers)), "image/jpeg")
        bodies.append(json.dumps(received(message(image=media(id=media_id, sha256=None)))).encode())
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        times = await asyncio.get_running_loop().run_in_executor(
            process, call_steadily, address, bodies, CALLS_PER_SECOND
        )
    p50, p99 = (percentile(times.answered, part) for part in (50, 99))
    print(
        f"{name:24} | {p50:6.1f} | {p99:6.1f} | {max(times.answered):6.1f}"
        f" | {percentile(times.late, 99):14.1f} | {os.getloadavg()[0]:4.1f}",
        flush=True,
    )


@asynccontextmanager
async def running(
    command: str, environment: dict[str, str]
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A `pgmedia` command, told to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", command, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=2**26,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()


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
        for name, measured in (("history", measure_history), ("door", measure_door)):
            await db.execute(f"create database {name}")
            await asyncio.to_thread(migrate, SecretStr(postgres.dsn(name)))
            await measured(postgres.dsn(name))
        await db.close()


if __name__ == "__main__":
    asyncio.run(main())
