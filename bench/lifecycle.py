"""What figures and cleanup cost.

The time of get_media_storage_stats as the media grow, also with dead letters and unfolded deltas;
the cleanup of old media by repeated calls, beside the bare deletion of as many rows like those of
media, also behind rows that are held or were accessed, of one type, and while an open transaction
keeps dead rows from being removed; and what audit trail and analytics cost (bench/bookkeeping.py).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.bookkeeping import measure_bookkeeping
from bench.command import Bench, main, new_database
from bench.report import Aim, Report
from poller.sandbox.postgres import PostgresServer

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Every commit is on disk when it is answered, all the same."""
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


async def measure_stats(report: Report, db: Any, sizes: list[int], scale: int) -> None:
    report.table("get_media_storage_stats", ("", ""), ("median, ms", ",.1f"), ("ratio", ".2f"))
    await db.execute(FIGURES)
    found: dict[str, float] = {}

    async def measure(name: str) -> None:
        found[name] = 1000 * statistics.median([await timed(db.fetchval(STATS)) for _ in range(50)])
        report.add(name, found[name], found[name] / next(iter(found.values())))

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
    ratios = {name: figure / next(iter(found.values())) for name, figure in found.items()}
    most = max(ratios, key=ratios.__getitem__)
    what = f"time of the figures, of that with {sizes[0]:,} rows: most, {most}"
    report.aims.append(Aim(what, ratios[most], at_most=1.5))


async def sizes_of(db: Any) -> dict[str, tuple[float, float]]:
    """MB of each table, and of its indexes."""
    both = (
        "select pg_table_size($1::text::regclass) / 1e6, pg_indexes_size($1::text::regclass) / 1e6"
    )
    tables = ("media", "media_objects", "media_deletion_queue")
    rows = {name: await db.fetchrow(both, name) for name in tables}
    return {name: (float(row[0]), float(row[1])) for name, row in rows.items()}


@dataclass(frozen=True, slots=True)
class Cleanup:
    deleted: int
    calls: list[float]
    """Seconds of each."""

    @property
    def rows_per_second(self) -> float:
        return self.deleted / sum(self.calls)


async def clean(db: Any, days: int, *arguments: Any) -> Cleanup:
    """Repeated calls until one says that all were looked at."""
    calls: list[float] = []
    deleted, is_finished = 0, False
    while not is_finished:
        begun = time.perf_counter()
        row = await db.fetchrow("select * from run_media_cleanup($1, $2, $3)", days, *arguments)
        calls.append(time.perf_counter() - begun)
        deleted, is_finished = deleted + row["attachments"], row["is_finished"]
    return Cleanup(deleted, calls)


def show(report: Report, name: str, found: Cleanup, bare: float) -> None:
    """`bare`: rows a second of the bare deletion."""
    rate = found.rows_per_second
    report.add(
        name, found.deleted, len(found.calls), rate, rate / bare,
        statistics.median(found.calls), max(found.calls),
    )  # fmt: skip


def begin(report: Report, title: str) -> None:
    report.table(
        title, ("", ""), ("deleted", ",d"), ("calls", ",d"), ("rows/s", ",.0f"),
        ("of bare", ".3f"), ("median call, s", ".2f"), ("longest, s", ".2f"),
    )  # fmt: skip


async def delete_bare(db: Any, days: int) -> float:
    """Rows a second of deleting as many from a table like media, with its indexes and no more."""
    await db.execute("create table bare_media (like media including all)")
    await db.execute(
        f"insert into bare_media select * from media"
        f" where message_sent_at < now() - interval '{days} days'",
        timeout=600,
    )
    await db.execute("analyze bare_media", timeout=600)
    begun = time.perf_counter()
    count = (await db.execute("delete from bare_media", timeout=600)).split()[-1]
    taken = time.perf_counter() - begun
    await db.execute("drop table bare_media")
    return int(count) / taken


async def measure_cleanup(report: Report, db: Any, rows: int, total: int) -> None:
    days = int(await db.fetchval(
        "select extract(day from now() - percentile_disc($1::float8) within group"
        " (order by message_sent_at)) from media", rows / total,
    ))  # fmt: skip
    bare = await delete_bare(db, days)
    before = await sizes_of(db)
    begin(report, f"Cleanup of what is older than {days} days, of {total:,} rows")
    show(report, "repeated calls", await clean(db, days, None, None), bare)
    await db.execute("vacuum media, media_objects", timeout=600)
    after = await sizes_of(db)
    report.table("Its tables, MB", ("", ""), *(
        (f"{what} {when}", ",.0f") for when in ("before", "after") for what in ("table", "indexes")
    ))  # fmt: skip
    for name in before:
        report.add(name, *before[name], *after[name])


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


async def measure_cases(report: Report, postgres: PostgresServer, rows: int) -> None:
    """Each on a copy of one database; what is kept is older than what may go."""
    db: Any = await asyncpg.connect(await new_database(postgres, "cases"))
    await fill(db, 1, rows)
    bare = await delete_bare(db, 1)
    await db.close()
    server: Any = await asyncpg.connect(postgres.dsn())
    begin(report, f"Cleanup of {rows:,} rows")
    for name, (prepare, arguments) in CASES.items():
        await server.execute("create database one_case template cases", timeout=600)
        db, other = [await asyncpg.connect(postgres.dsn("one_case")) for _ in range(2)]
        if prepare:
            await db.execute(prepare, timeout=600)
        await db.execute("vacuum analyze", timeout=600)
        if name == "held xmin":
            await other.execute("begin isolation level repeatable read; select from media limit 1")
        show(report, name, await clean(db, 1, *arguments), bare)
        await db.close()
        await other.close()
        await server.execute("drop database one_case with (force)")
    await server.close()


async def run(bench: Bench) -> None:
    report, scale = bench.report, bench.size(1, 10)
    sizes = [10_000 // scale, 1_000_000 // scale, 5_000_000 // scale]
    with bench.postgres(SETTINGS) as postgres:
        bookkeeping = await new_database(postgres, "bookkeeping")
        await measure_bookkeeping(report, bookkeeping, 4000 // scale, bench.size(15, 7))
        await measure_cases(report, postgres, 1_000_000 // scale)
        db: Any = await asyncpg.connect(await new_database(postgres, "growth"))
        await measure_stats(report, db, sizes, scale)
        await measure_cleanup(report, db, 1_000_000 // scale, sizes[-1])
        await db.close()


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
