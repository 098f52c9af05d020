"""The cleanup of old media by repeated calls: a part of bench.lifecycle.

Of all, and behind rows that are held or were accessed, of one type, and while an open transaction
keeps dead rows from being removed. The bound is the rows alone: those of media deleted from a table
like it, and what the cleanup left in audit trail and deletion queue written into tables like those.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.command import new_database
from bench.filling import fill_media
from bench.report import Report
from poller.sandbox.postgres import PostgresServer

LEFT = {
    "media_audit_log": "select * from media_audit_log where event = 'deleted'",
    "media_deletion_queue": "select * from media_deletion_queue",
}
"""Rows that a cleanup leaves behind."""


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


async def write_bare(db: Any) -> float:
    """Rows a second of the rows alone: those of bare_media deleted, what a cleanup left written."""
    begun = time.perf_counter()
    count = (await db.execute("delete from bare_media", timeout=600)).split()[-1]
    for table, rows in LEFT.items():
        await db.execute(f"insert into bare_{table} overriding system value {rows}", timeout=600)
    return int(count) / (time.perf_counter() - begun)


async def prepare_bare(db: Any, days: int) -> None:
    """Tables with all the indexes of the real ones and no more; of media, what will be deleted."""
    for table in ("media", *LEFT):
        await db.execute(f"create table bare_{table} (like {table} including all)")
    await db.execute(
        "insert into bare_media select * from media"
        f" where message_sent_at < now() - interval '{days} days'",
        timeout=600,
    )
    await db.execute("vacuum analyze bare_media", timeout=600)


async def measure_cleanup(report: Report, db: Any, rows: int, total: int) -> None:
    """The oldest of many."""
    days = int(await db.fetchval(
        "select extract(day from now() - percentile_disc($1::float8) within group"
        " (order by message_sent_at)) from media", rows / total,
    ))  # fmt: skip
    await prepare_bare(db, days)
    before = await sizes_of(db)
    begin(report, f"Cleanup of what is older than {days} days, of {total:,} rows")
    found = await clean(db, days, None, None)
    show(report, "repeated calls", found, await write_bare(db))
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
    await fill_media(db, 1, rows)
    await prepare_bare(db, 1)
    await db.close()
    bare = 0.0
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
        found = await clean(db, 1, *arguments)
        bare = bare or await write_bare(db)
        show(report, name, found, bare)
        await db.close()
        await other.close()
        await server.execute("drop database one_case with (force)")
    await server.close()
