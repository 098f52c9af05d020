"""What audit trail and analytics cost queueing and finishing: a part of bench.lifecycle.

The same work with the inserts of the one or the other dropped by a trigger, itself a small part of
what is left. Rounds take turns, and the cost is the median over the rounds, each against its own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import asyncpg

from bench.report import Aim, Report

CLIENTS = 8
WITHOUT = {
    "everything": [],
    "no audit trail": ["media_audit_log"],
    "no analytics": ["media_analytics_deltas", "media_bucket_deltas"],
}
AIMS = {"no audit trail": 0.10, "no analytics": 0.15}

DROP_INSERTS = """
create or replace function drop_row() returns trigger language plpgsql as 'begin return null; end';
"""


async def run_jobs(connections: list[Any], jobs: int) -> tuple[float, float]:
    """Queue and finish so many attachments of distinct content; the seconds of both."""
    message = await connections[0].fetchval(
        "insert into messages (whatsapp_message_id, sent_at) values (gen_random_uuid(), now())"
        " returning id"
    )
    share = jobs // len(connections)

    async def queue(db: Any, number: int) -> None:
        for i in range(share):
            await db.fetchval("select queue_media_processing($1, $2)", message, f"{number}-{i}")

    begun = time.perf_counter()
    await asyncio.gather(*[queue(db, n) for n, db in enumerate(connections)])
    queued = time.perf_counter() - begun
    work: list[list[Any]] = []
    for n, db in enumerate(connections):
        rows = await db.fetch(
            "select id, fencing_token from claim_media_jobs($1, $2)", f"p{n}", share
        )
        work.append([
            (n, row["id"], row["fencing_token"], (await db.fetchrow(
                "select object_id from begin_media_upload($1, $2, $3,"
                " encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 1000, 'image/jpeg')",
                row["id"], f"p{n}", row["fencing_token"]))["object_id"])
            for row in rows
        ])  # fmt: skip

    async def finish(db: Any, jobs: list[Any]) -> None:
        for n, media, token, object_id in jobs:
            await db.fetchval(
                "select finish_media_upload($1, $2, $3, $4, '{\"download\": 10}')",
                media, f"p{n}", token, object_id,
            )  # fmt: skip

    begun = time.perf_counter()
    await asyncio.gather(*[finish(db, jobs) for db, jobs in zip(connections, work, strict=True)])
    return queued, time.perf_counter() - begun


async def measure_bookkeeping(report: Report, dsn: str, jobs: int, rounds: int) -> None:
    connections = [await asyncpg.connect(dsn) for _ in range(CLIENTS)]
    db = connections[0]
    await db.execute(DROP_INSERTS)
    await db.execute("update media_settings set refusals_per_hour = 10000")
    await run_jobs(connections, jobs)  # to warm up
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WITHOUT}
    for number in range(rounds):
        for name in sorted(WITHOUT, reverse=bool(number % 2)):
            for table in WITHOUT[name]:
                await db.execute(
                    f"create trigger drop_row before insert on {table}"
                    " for each row execute function drop_row()"
                )
            seconds[name].append(await run_jobs(connections, jobs))
            for table in WITHOUT[name]:
                await db.execute(f"drop trigger drop_row on {table}")
            await db.execute("select fold_media_analytics()")
    for connection in connections:
        await connection.close()
    report.table(
        f"Queue and finish, {CLIENTS} clients, {rounds} rounds of {jobs:,} attachments",
        ("", ""), ("queue/s", ",.0f"), ("cost", ".0%"), ("finish/s", ",.0f"), ("cost", ".0%"),
    )  # fmt: skip
    for name in WITHOUT:
        rates = [jobs / statistics.median(one[part] for one in seconds[name]) for part in (0, 1)]
        costs = [
            statistics.median(
                1 - without[part] / whole[part]
                for without, whole in zip(seconds[name], seconds["everything"], strict=True)
            )
            for part in (0, 1)
        ]
        report.add(name, rates[0], costs[0], rates[1], costs[1])
        if name in AIMS:
            what = f"time of queueing or finishing that goes with {name}"
            report.aims.append(Aim(what, max(costs), at_most=AIMS[name]))
