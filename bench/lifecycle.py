"""What figures and cleanup cost: `make bench-lifecycle`, or with a folder of Postgres programs.

The time of get_media_storage_stats as the media grow, the cleanup of old media by repeated calls
of cleanup_old_media, and what audit trail and analytics cost finishing and queueing: the same work
with the inserts of the one or the other dropped by a trigger, itself a small part of what is left.
`--short` makes everything ten times smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer

DURABLE: dict[str, str] = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Every commit is on disk when it is answered."""
DAYS = 1000
CLIENTS = 8
ROUNDS = 5

FILL = """
with message as (
    insert into messages (whatsapp_message_id, sent_at) values (gen_random_uuid(), now())
    returning id
),
objects as (
    insert into media_objects (
        content_hash, is_public, state, file_size, stored_hash, stored_size, mime_type, bucket_name,
        storage_path, stored_at)
    select encode(sha256(int8send(i)), 'hex'), true, 'stored', 100000,
        encode(sha256(int8send(i)), 'hex'), 100000, 'image/jpeg', 'images',
        to_char(now(), 'YYYY/MM/') || gen_random_uuid() || '.jpg', now()
    from generate_series($1::bigint, $2::bigint) i
    where i % 10 < 7
    returning id, bucket_name, storage_path, content_hash
)
insert into media (
    message_id, whatsapp_media_id, media_type, mime_type, file_size, content_hash, bucket_name,
    storage_path, object_id, processed, processed_at, message_sent_at)
select m.id, i::text, (array['image', 'video', 'audio', 'document', 'sticker'])[1 + i % 5],
    'image/jpeg', 100000, o.content_hash, o.bucket_name, o.storage_path, o.id, true, now(),
    now() - random() * interval '1000 days'
from message m
cross join generate_series($1::bigint, $2::bigint) i
join objects o on o.content_hash = encode(sha256(int8send(
    case when i % 10 < 7 then i else i - i % 10 end)), 'hex')
"""

FIGURES = f"""
insert into media_analytics (date, media_type, total_files, total_size_bytes, unique_files)
select current_date - d, t, 1000, 100000000, 700
from generate_series(0, {DAYS}) d
cross join unnest(array['image', 'video', 'audio', 'document', 'sticker']) t;
insert into media_processing_times (date, media_type, time_bucket, files)
select a.date, a.media_type, b, 50
from media_analytics a
cross join generate_series(30, 50) b;
insert into media_throughput (minute, files, bytes, failed_files)
select date_trunc('minute', now()) - m * interval '1 minute', 10, 1000000, 0
from generate_series(1, 2880) m;
"""

DROP_INSERTS = """
create or replace function drop_row() returns trigger language plpgsql as 'begin return null; end';
"""


async def timed(work: Awaitable[Any]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def fill(db: Any, first: int, last: int) -> None:
    for start in range(first, last + 1, 100_000):  # of whole tens
        await db.execute(FILL, start, min(start + 99_999, last), timeout=600)
    await db.execute("vacuum analyze", timeout=600)


async def measure_stats(db: Any, sizes: list[int]) -> None:
    print("\nget_media_storage_stats\n media rows     median   ratio")
    await db.execute(FIGURES)
    there, smallest = 0, 0.0
    for size in sizes:
        await fill(db, there + 1, size)
        there = size
        call = "select get_media_storage_stats()"
        median = statistics.median([await timed(db.fetchval(call)) for _ in range(50)])
        smallest = smallest or median
        print(f"{size:11,} {median * 1000:7.1f} ms {median / smallest:6.2f}")


async def sizes_of(db: Any) -> str:
    tables = ("media", "media_objects", "media_deletion_queue")
    parts = [
        f"{name} {await db.fetchval('select pg_table_size($1::text::regclass)', name) / 1e6:.0f} + "
        f"{await db.fetchval('select pg_indexes_size($1::text::regclass)', name) / 1e6:.0f} MB"
        for name in tables
    ]
    return ", ".join(parts)


async def measure_cleanup(db: Any, rows: int, total: int) -> None:
    days = await db.fetchval(
        "select extract(day from now() - percentile_disc($1) within group"
        " (order by message_sent_at)) from media", rows / total,
    )  # fmt: skip
    print(f"\ncleanup_old_media({days:.0f}) of {total:,} rows\n before (table + indexes): "
          f"{await sizes_of(db)}")  # fmt: skip
    calls: list[float] = []
    deleted = 0
    while True:
        begun = time.perf_counter()
        count = await db.fetchval("select cleanup_old_media($1)", int(days))
        if count == 0:
            break
        calls.append(time.perf_counter() - begun)
        deleted += count
    print(f" {deleted:,} rows in {len(calls)} calls: {deleted / sum(calls):,.0f} rows/s, "
          f"median call {statistics.median(calls):.2f} s, longest {max(calls):.2f} s")  # fmt: skip
    await db.execute("vacuum media, media_objects", timeout=600)
    print(f" after vacuum: {await sizes_of(db)}")


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


WITHOUT = {
    "everything": [],
    "no audit trail": ["media_audit_log"],
    "no analytics": ["media_analytics_deltas", "media_bucket_deltas"],
}


async def measure_bookkeeping(dsn: str, jobs: int) -> None:
    connections = [await asyncpg.connect(dsn) for _ in range(CLIENTS)]
    db = connections[0]
    await db.execute(DROP_INSERTS)
    await db.execute("update media_settings set refusals_per_hour = 10000")
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WITHOUT}
    for number in range(ROUNDS):
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
    print(f"\nqueue and finish, {CLIENTS} clients, {ROUNDS} rounds of {jobs} attachments"
          "\n                 queue/s  cost   finish/s  cost")  # fmt: skip
    queued, finished = [
        {
            name: jobs / statistics.median(one[part] for one in all_)
            for name, all_ in seconds.items()
        }
        for part in (0, 1)
    ]
    for name in WITHOUT:
        costs = [1 - rate["everything"] / rate[name] for rate in (queued, finished)]
        print(f"{name:15} {queued[name]:8,.0f} {costs[0]:5.0%} {finished[name]:10,.0f}"
              f" {costs[1]:5.0%}")  # fmt: skip
    for connection in connections:
        await connection.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="?", type=Path, help="a folder of Postgres programs")
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    scale = 10 if arguments.short else 1
    with PostgresServer(arguments.programs, settings=DURABLE) as postgres:
        steps: list[tuple[str, Callable[[Any, str], Awaitable[None]]]] = [
            ("bookkeeping", lambda _, dsn: measure_bookkeeping(dsn, 4000 // scale)),
            ("growth", lambda db, _: measure_growth(db, scale)),
        ]
        server: Any = await asyncpg.connect(postgres.dsn())
        print(await server.fetchval("select version()"))
        for name, measure in steps:
            await server.execute(f"create database {name}")
            await asyncio.to_thread(migrate, SecretStr(postgres.dsn(name)))
            db: Any = await asyncpg.connect(postgres.dsn(name))
            await measure(db, postgres.dsn(name))
            await db.close()
        await server.close()


async def measure_growth(db: Any, scale: int) -> None:
    sizes = [10_000 // scale, 1_000_000 // scale, 5_000_000 // scale]
    await measure_stats(db, sizes)
    await measure_cleanup(db, 1_000_000 // scale, sizes[-1])


if __name__ == "__main__":
    asyncio.run(main())
