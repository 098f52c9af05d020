"""What figures and cleanup cost: `make bench-lifecycle`, or with a folder of Postgres programs.

The time of get_media_storage_stats as the media grow, also with dead letters and unfolded deltas;
the cleanup of old media by repeated calls, also behind rows that are held or were accessed, of one
type, and while an open transaction keeps dead rows from being removed; and what audit trail and
analytics cost (bench/bookkeeping.py). Tables, and at the end all of it as one line of JSON.
`--short` makes everything ten times smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from bench.bookkeeping import measure_bookkeeping
from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer

DURABLE: dict[str, str] = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Every commit is on disk when it is answered."""
DAYS = 1000

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


async def timed(work: Awaitable[Any]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def fill(db: Any, first: int, last: int) -> None:
    for start in range(first, last + 1, 100_000):  # of whole tens
        await db.execute(FILL, start, min(start + 99_999, last), timeout=600)
    await db.execute("vacuum analyze", timeout=600)


STATS = "select get_media_storage_stats()"
DEAD_LETTERS = """
insert into media_processing_queue (
    id, message_id, whatsapp_media_id, source, status, max_attempts, last_error_code, died_at)
select id, message_id, whatsapp_media_id, 'whatsapp:1', 'failed', 5,
    'code ' || (random() * 9)::integer, now()
from media
limit $1::integer
"""
DELTAS = """
insert into media_analytics_deltas (date, media_type, total_files, time_bucket, at)
select current_date, 'image', 1, 40, now() - random() * interval '1 minute'
from generate_series(1, $1::integer)
"""


async def measure_stats(db: Any, sizes: list[int], scale: int) -> dict[str, float]:
    print("\nget_media_storage_stats\n                               median   ratio")
    await db.execute(FIGURES)
    found: dict[str, float] = {}

    async def measure(name: str) -> None:
        found[name] = 1000 * statistics.median([await timed(db.fetchval(STATS)) for _ in range(50)])
        ratio = found[name] / next(iter(found.values()))
        print(f"{name:>26} {found[name]:7.1f} ms {ratio:6.2f}")

    there = 0
    for size in sizes:
        await fill(db, there + 1, size)
        there = size
        await measure(f"{size:,} media rows")
    for count in (100_000 // scale, 1_000_000 // scale):
        await db.execute("delete from media_processing_queue", timeout=600)
        await db.execute(DEAD_LETTERS, count, timeout=600)
        await db.execute("vacuum analyze media_processing_queue", timeout=600)
        await measure(f"{count:,} dead letters")
    await db.execute("delete from media_processing_queue", timeout=600)
    await db.execute("vacuum media_processing_queue", timeout=600)
    for count in (100_000 // scale, 1_000_000 // scale):
        await db.execute(DELTAS, count, timeout=600)
        await measure(f"{count:,} unfolded deltas")
    while await db.fetchval("select fold_media_analytics()", timeout=600):
        pass
    return found


async def sizes_of(db: Any) -> str:
    tables = ("media", "media_objects", "media_deletion_queue")
    parts = [
        f"{name} {await db.fetchval('select pg_table_size($1::text::regclass)', name) / 1e6:.0f} + "
        f"{await db.fetchval('select pg_indexes_size($1::text::regclass)', name) / 1e6:.0f} MB"
        for name in tables
    ]
    return ", ".join(parts)


async def clean(db: Any, days: int, *arguments: Any) -> dict[str, Any]:
    """Repeated calls until one says that all were looked at."""
    calls: list[float] = []
    deleted, is_finished = 0, False
    while not is_finished:
        begun = time.perf_counter()
        row = await db.fetchrow("select * from run_media_cleanup($1, $2, $3)", days, *arguments)
        calls.append(time.perf_counter() - begun)
        deleted, is_finished = deleted + row["attachments"], row["is_finished"]
    return {
        "deleted": deleted, "calls": len(calls), "rows_per_s": round(deleted / sum(calls)),
        "median_call_s": round(statistics.median(calls), 3), "longest_call_s": round(max(calls), 3),
    }  # fmt: skip


def show(name: str, found: dict[str, Any]) -> None:
    print(f" {name:13} {found['deleted']:9,} rows in {found['calls']:4} calls:"
          f" {found['rows_per_s']:7,} rows/s, median call {found['median_call_s']:.2f} s,"
          f" longest {found['longest_call_s']:.2f} s")  # fmt: skip


async def measure_cleanup(db: Any, rows: int, total: int) -> dict[str, Any]:
    days = await db.fetchval(
        "select extract(day from now() - percentile_disc($1::float8) within group"
        " (order by message_sent_at)) from media", rows / total,
    )  # fmt: skip
    before = await sizes_of(db)
    print(f"\ncleanup of what is older than {days:.0f} days, of {total:,} rows"
          f"\n before (table + indexes): {before}")  # fmt: skip
    found = await clean(db, int(days), None, None)
    show("", found)
    await db.execute("vacuum media, media_objects", timeout=600)
    after = await sizes_of(db)
    print(f" after vacuum: {after}")
    return {**found, "of": total, "before": before, "after": after}


OLDEST_HALF = "from media order by message_sent_at limit (select count(*) / 2 from media)"
HOLD = f"insert into media_holds (media_id, reason) select id, 'x' {OLDEST_HALF}"
TOUCH = f"insert into media_accesses (media_id, accessed_at) select id, now() {OLDEST_HALF}"
CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "nothing kept": ("", (None, None)),
    "half held": (HOLD, (None, None)),
    "half accessed": (TOUCH, (None, 7)),
    "one type": ("", (["video"], None)),
    "held xmin": ("", (None, None)),
}


async def measure_cases(server: Any, postgres: PostgresServer, rows: int) -> dict[str, Any]:
    """Each on a copy of one database; what is kept is older than what may go."""
    db: Any = await new_database(server, postgres, "cases")
    await fill(db, 1, rows)
    await db.close()
    print(f"\ncleanup of {rows:,} rows")
    found: dict[str, Any] = {}
    for name, (prepare, arguments) in CASES.items():
        await server.execute("create database one_case template cases", timeout=600)
        db, other = [await asyncpg.connect(postgres.dsn("one_case")) for _ in range(2)]
        if prepare:
            await db.execute(prepare, timeout=600)
        await db.execute("vacuum analyze", timeout=600)
        if name == "held xmin":
            await other.execute("begin isolation level repeatable read; select from media limit 1")
        found[name] = await clean(db, 1, *arguments)
        show(name, found[name])
        await db.close()
        await other.close()
        await server.execute("drop database one_case with (force)")
    return found


async def new_database(server: Any, postgres: PostgresServer, name: str) -> Any:
    await server.execute(f"create database {name}")
    await asyncio.to_thread(migrate, SecretStr(postgres.dsn(name)))
    return await asyncpg.connect(postgres.dsn(name))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="?", type=Path, help="a folder of Postgres programs")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int, default=15, help="of queueing and finishing")
    arguments = parser.parse_args()
    scale = 10 if arguments.short else 1
    sizes = [10_000 // scale, 1_000_000 // scale, 5_000_000 // scale]
    found: dict[str, Any] = {}
    with PostgresServer(arguments.programs, settings=DURABLE) as postgres:
        server: Any = await asyncpg.connect(postgres.dsn())
        found["postgres"] = await server.fetchval("select version()")
        print(found["postgres"])
        await (await new_database(server, postgres, "bookkeeping")).close()
        found["bookkeeping"] = await measure_bookkeeping(
            postgres.dsn("bookkeeping"), 4000 // scale, arguments.rounds
        )
        found["cleanup_cases"] = await measure_cases(server, postgres, 1_000_000 // scale)
        db: Any = await new_database(server, postgres, "growth")
        found["stats_ms"] = await measure_stats(db, sizes, scale)
        found["cleanup"] = await measure_cleanup(db, 1_000_000 // scale, sizes[-1])
        await db.close()
        await server.close()
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
