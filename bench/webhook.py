"""How long webhook calls take.

First a history of 50 to 5,000 messages with media in one SQL call, beside the bare writing of the
same rows. Then 50 calls a second, at a real `pgmedia webhook` and straight at the SQL function,
with and without a real poller that fetches what they queue; ms from when a call was due.
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

from bench.command import DURABLE, Bench, main, new_database
from bench.report import Aim
from bench.webhook_calls import RECEIVE, Times, call_steadily, percentile
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
CALLS_PER_SECOND = 50

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


async def measure_history(bench: Bench, dsn: str) -> None:
    db: Any = await asyncpg.connect(dsn)
    for table in ROWS:
        await db.execute(f"create table bare_{table} (like {table} including all)")
    copies = ", ".join(
        f"{table}_ as (insert into bare_{table} overriding system value"
        f" select t.* from {table} t where {condition})"
        for table, condition in ROWS.items()
    )
    rounds = bench.size(5, 3)
    bench.report.table(
        f"A history in one call, median of {rounds}, ms",
        ("messages", ""), ("MB", ".2f"), ("new call", ",.0f"), ("a message", ".3f"),
        ("the rows alone", ",.0f"), ("ratio", ".1f"), ("the same again", ",.0f"),
    )  # fmt: skip
    a_message: dict[int, float] = {}
    for size in SIZES:
        new: list[float] = []
        again: list[float] = []
        bare: list[float] = []
        body = ""
        for _ in range(rounds):
            messages = [message() for _ in range(size)]
            body = json.dumps(history(*messages, threads=10))
            summary = json.loads(await timed(new, db.fetchval(RECEIVE, body)))
            ids = [one["id"] for one in messages]
            await timed(bare, db.execute(f"with {copies} select", summary["event_id"], ids))
            await timed(again, db.fetchval(RECEIVE, body))
        call, rows = statistics.median(new), statistics.median(bare)
        a_message[size] = call / size
        bench.report.add(
            f"{size:,}", len(body) / 1e6, call, call / size, rows, call / rows,
            statistics.median(again),
        )  # fmt: skip
    growth = a_message[5000] / a_message[500]
    bench.report.aims.append(
        Aim("time of a message, from a history of 500 to one of 5,000", growth, at_most=1.5)
    )
    await db.close()


async def timed(times: list[float], call: Awaitable[Any]) -> Any:
    """Add the milliseconds that the call takes; return its answer."""
    begun = time.perf_counter()
    answer = await call
    times.append(1000 * (time.perf_counter() - begun))
    return answer


async def measure_door(bench: Bench, dsn: str) -> None:
    seconds = bench.size(30, 4)
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
            async with running("buckets", environment, "--yes") as buckets:
                await buckets.wait()
            bench.report.table(
                f"{CALLS_PER_SECOND} calls a second for {seconds} s, ms",
                ("", ""), ("p50", ",.1f"), ("p99", ",.1f"), ("most", ",.1f"),
                ("sent late, p99", ",.1f"), ("load", ".1f"),
            )  # fmt: skip

            async def measured(name: str, address: str) -> float:
                """The median."""
                times = await call(address, whatsapp, seconds)
                p50, p99 = (percentile(times.answered, part) for part in (50, 99))
                bench.report.add(
                    name, p50, p99, max(times.answered), percentile(times.late, 99),
                    os.getloadavg()[0],
                )  # fmt: skip
                return p50

            async with running("webhook", environment) as door:
                url = await address_of(door)
                async with running("poll", environment):
                    await measured("door, as it and a poller start", url)
                    beside = await measured("door, with a poller that stores what comes", url)
                    await measured("SQL alone, with a poller", dsn)
                door_alone = await measured("door, no poller", url)
                sql_alone = await measured("SQL alone, no poller", dsn)
                async with running("poll", environment):  # what these two queued is a backlog
                    await measured("door, poller catches up", url)
    bench.report.table("Medians beside each other", ("", ""), ("ratio", ".2f"))
    bench.report.add("door, of SQL alone", door_alone / sql_alone)
    bench.report.add("door with a poller, of one without", beside / door_alone)


numbers = itertools.count()


async def call(address: str, whatsapp: WhatsAppApi, seconds: int) -> Times:
    bodies: list[bytes] = []
    for _ in range(CALLS_PER_SECOND * seconds):
        media_id = whatsapp.add_media(variant(SAMPLES[0], next(numbers)), "image/jpeg")
        bodies.append(json.dumps(received(message(image=media(id=media_id, sha256=None)))).encode())
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(
            process, call_steadily, address, bodies, CALLS_PER_SECOND
        )


@asynccontextmanager
async def running(
    command: str, environment: dict[str, str], *options: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A `pgmedia` command, told to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", command, *options, env=environment,
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


async def run(bench: Bench) -> None:
    with bench.postgres(DURABLE) as postgres:
        for name, measured in (("history", measure_history), ("door", measure_door)):
            await measured(bench, await new_database(postgres, name))


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
