"""Does the work on one attachment take longer as the tables grow?

Milliseconds of each call, the median of many, beside the same on a small database: behind a
backlog, behind rows that wait for another attempt, over dead rows that an old snapshot keeps, and
in front of many media. Nothing is flushed to disk, so that the disk does not hide what grows. The
pages that a claim touches tell what it reads from how far away that is from the processor.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg

from bench.command import Bench, main, new_database
from bench.filling import fill_media, fill_queue
from bench.report import Aim
from poller.sandbox.postgres import FAST_AND_FORGETFUL

SETTINGS = {**FAST_AND_FORGETFUL, "shared_buffers": "1GB", "max_wal_size": "8GB"}
BATCH = 16
ROUNDS = 25
SMALL = 1000
PAGES = f"pages of claim {BATCH}"


async def nothing(_db: Any, _size: int) -> None:
    pass


async def backlog(db: Any, size: int) -> None:
    await fill_queue(db, size)


async def in_backoff(db: Any, size: int) -> None:
    await fill_queue(db, size, "1 hour")


async def dead_rows(db: Any, size: int) -> None:
    """Rows that are gone, but for the snapshot that measure() has held open meanwhile.

    They were due some time ago: the marks of a claim leave out its last two seconds.
    """
    await fill_queue(db, size, "-1 minute")
    await db.execute("delete from media_processing_queue", timeout=600)


async def media_stored(db: Any, size: int) -> None:
    await fill_media(db, 1, size)


CASES: list[tuple[str, Callable[[Any, int], Awaitable[None]], int, bool]] = [
    ("small", nothing, 0, False),
    ("backlog of {:,}", backlog, 100_000, False),
    ("backlog of {:,}", backlog, 1_000_000, False),
    ("backlog of {:,}", backlog, 5_000_000, True),
    ("{:,} in backoff", in_backoff, 1_000_000, False),
    ("{:,} dead under a held xmin", dead_rows, 1_000_000, False),
    ("{:,} media", media_stored, 5_000_000, False),
]
"""Title, what fills the database, with how many rows, and whether only the long form has it."""


async def measure(
    dsn: str, prepare: Callable[[Any, int], Awaitable[None]], size: int
) -> dict[str, float]:
    db: Any = await asyncpg.connect(dsn)
    forgotten: Any = await asyncpg.connect(dsn)
    if prepare is dead_rows:
        await forgotten.execute("begin isolation level repeatable read; select 1")
    await prepare(db, size)
    await fill_queue(db, SMALL)
    await db.execute("analyze", timeout=600)
    times: dict[str, list[float]] = defaultdict(list)

    async def timed(name: str, statement: str, *arguments: Any) -> Any:
        begun = time.perf_counter()
        rows = await db.fetch(statement, *arguments)
        times[name].append(1000 * (time.perf_counter() - begun))
        return rows

    for _ in range(ROUNDS):
        await work(db, timed)
    times[PAGES].append(await pages_of_claim(db))
    for connection in (forgotten, db):
        await connection.close()
    return {name: statistics.median(all_of_it) for name, all_of_it in times.items()}


async def pages_of_claim(db: Any) -> int:
    """Pages that a claim touches, some of them several times; nothing is claimed."""
    claim = f"select * from claim_media_jobs('bench', {BATCH})"
    transaction = db.transaction()
    await transaction.start()
    (plan,) = json.loads(await db.fetchval(f"explain (analyze, buffers, format json) {claim}"))
    await transaction.rollback()
    return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]


async def work(db: Any, timed: Callable[..., Awaitable[Any]]) -> None:
    """Queue a batch and work on as many, with every call of their lives."""
    for _ in range(BATCH):
        message = await db.fetchval(
            "insert into messages (whatsapp_message_id, phone_number_id, sent_at)"
            " values ($1, '1', now()) returning id", uuid4().hex,
        )  # fmt: skip
        await timed("queue", "select queue_media_processing($1, $2, 'image')", message, uuid4().hex)
    jobs = await timed(f"claim {BATCH}", "select * from claim_media_jobs('bench', $1)", BATCH)
    assert len(jobs) == BATCH, len(jobs)
    for job in jobs:
        key = job["id"], "bench", job["fencing_token"]
        content_hash = hashlib.sha256(job["whatsapp_media_id"].encode()).hexdigest()
        describe = "select * from describe_media_source($1, $2, $3, 'image/jpeg', 1000, $4)"
        begin = "select * from begin_media_upload($1, $2, $3, $4, 1000, 'image/jpeg')"
        await timed("describe", describe, *key, content_hash)
        (place,) = await timed("begin", begin, *key, content_hash)
        finish = "select finish_media_upload($1, $2, $3, $4)"
        await timed("finish", finish, *key, place["object_id"])


async def run(bench: Bench) -> None:
    small: dict[str, float] = {}
    worst: dict[str, tuple[float, str]] = {}
    with bench.postgres(SETTINGS) as postgres:
        for title, prepare, of_size, is_long in CASES:
            if is_long and bench.short:
                continue
            size = of_size // bench.size(1, 20)
            name = title.format(size)
            medians = await measure(await new_database(postgres, "growth"), prepare, size)
            if not small:
                small = medians
                bench.report.table(
                    f"Milliseconds a call, and how often that of {SMALL:,} rows",
                    ("", ""),
                    *(
                        column
                        for call in medians
                        for column in ((call, ",.0f" if call == PAGES else ".2f"), ("times", ".2f"))
                    ),
                )
            ratios = {call: figure / small[call] for call, figure in medians.items()}
            bench.report.add(
                name, *(cell for call in medians for cell in (medians[call], ratios[call]))
            )
            for call, ratio in ratios.items():
                worst[call] = max(worst.get(call, (0.0, "")), (ratio, name))
    for call, (ratio, name) in worst.items():
        what = f"{call}, of that with {SMALL:,} rows: most, {name}"
        what = what if call == PAGES else f"time of {what}"
        bench.report.aims.append(Aim(what, ratio, at_most=1.5))


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
