"""What figures and cleanup cost.

The time of get_media_storage_stats as the media grow, also with dead letters and unfolded deltas;
the cleanup of old media (bench/cleanup.py); and what audit trail and analytics cost
(bench/bookkeeping.py).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable
from typing import Any

import asyncpg

from bench.bookkeeping import measure_bookkeeping
from bench.cleanup import measure_cases, measure_cleanup
from bench.command import Bench, main, new_database
from bench.filling import fill_media
from bench.report import Aim, Report

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Every commit is on disk when it is answered, all the same."""
DAYS = 1000

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
        await fill_media(db, there + 1, size)
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
    first, *others = (found[f"{size:,} media rows"] for size in sizes)
    what = f"time of the figures, most, of that with {sizes[0]:,} media"
    report.aims.append(Aim(what, max(others) / first, at_most=1.5))


async def run(bench: Bench) -> None:
    report, scale = bench.report, bench.size(1, 50)
    sizes = [10_000 // scale, 1_000_000 // scale, 5_000_000 // scale]
    with bench.postgres(SETTINGS) as postgres:
        bookkeeping = await new_database(postgres, "bookkeeping")
        await measure_bookkeeping(report, bookkeeping, *bench.size((4000, 15), (400, 5)))
        await measure_cases(report, postgres, 1_000_000 // scale)
        db: Any = await asyncpg.connect(await new_database(postgres, "growth"))
        await measure_stats(report, db, sizes, scale)
        await measure_cleanup(report, db, 1_000_000 // scale, sizes[-1])
        await db.close()


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
