"""How far one database goes: 1, 2 and 4 pollers, and what a file costs Postgres.

Whole pollers with files of 1 KB; then pollers with everything but the bytes, so that what many of
them ask of one database can be seen where the machine has no cores for many whole ones. CPU time
is user and system time of all of Postgres's processes, from /proc. What its sessions did is
sampled: running, or waiting for what. Postgres has its own defaults, so every commit is on disk.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.command import DURABLE, Bench, main, new_database
from bench.pipeline.contenders import Pgmedia, Run
from bench.pipeline.measuring import Figures, measure
from bench.pipeline.servers import Servers, serving
from bench.report import Report
from poller.sandbox.postgres import PostgresServer

WAYS = ((1, True), (2, True), (4, True), (4, False))
"""Pollers, and whether a commit waits for the disk: without, there is only CPU time to limit it."""
SIZE = 1_000
CORES = os.cpu_count() or 1
BUSY = 0.7
"""The share of a database's cores that one would let this take."""
DAY = 86_400

SESSIONS = """
select coalesce(wait_event_type || ' ' || wait_event, 'running') as doing, count(*) as sessions
from pg_stat_activity
where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
group by 1
"""
WRITTEN = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
KEPT = "select pg_database_size(current_database())"


class WholePollers(Pgmedia):
    def __init__(self) -> None:
        super().__init__(checks=True)
        self.name = f"whole, files of {SIZE:,} bytes"


class PollersWithNoBytes(Pgmedia):
    def __init__(self) -> None:
        super().__init__(checks=False)
        self.name = "no bytes"
        self.arguments = ("-m", "bench.pipeline.workers", "no_bytes")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one file, queueing it included: bytes of WAL, and bytes that the database grows by."""

    wal_bytes: float
    kept_bytes: float


async def run(bench: Bench) -> None:
    counts = {WholePollers: bench.size(4000, 500), PollersWithNoBytes: bench.size(10_000, 1500)}
    with bench.postgres(DURABLE) as postgres, tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as servers:
            all_ids = servers.add_files(SIZE, max(counts.values()))
            figures, cost = Figures(0, 0, 0, 0), Cost(0, 0)
            for kind, count in counts.items():
                contender = kind()
                bench.report.table(
                    f"Pollers, {contender.name}: 16 at once each",
                    ("pollers", ""), ("files/s", ",.0f"), ("of 1 poller", ".2f"),
                    ("Postgres ms", ".2f"), ("cores of it", ".2f"), ("poller ms", ".2f"),
                    ("sessions of Postgres", ""),
                )  # fmt: skip
                alone = 0.0
                for pollers, flushed in WAYS:
                    if not flushed and kind is WholePollers:
                        continue
                    ids = all_ids[: count * min(pollers, 2)]
                    figures, cost, doing = await one(
                        postgres, contender, ids, pollers, servers, flushed=flushed
                    )
                    rate = figures.files_per_second
                    alone = alone or rate
                    bench.report.add(
                        f"{pollers}{'' if flushed else ', commits not flushed'}",
                        rate, rate / alone, figures.postgres_ms,
                        rate * figures.postgres_ms / 1000, figures.worker_ms, described(doing),
                    )  # fmt: skip
    show_limits(bench.report, figures, cost)


def described(doing: Counter[str]) -> str:
    """The most frequent, in percent of all that was seen."""
    seen = max(1, doing.total())
    return ", ".join(f"{name} {number / seen:.0%}" for name, number in doing.most_common(3))


def show_limits(report: Report, figures: Figures, cost: Cost) -> None:
    """What follows for databases of more cores, as long as nothing but CPU time limits them."""
    report.table(
        f"What a database does with {BUSY:.0%} of its cores, by the last line's"
        f" {figures.postgres_ms:.2f} ms a file",
        ("cores", ""), ("files/s", ",.0f"), ("million files a day", ",.1f"),
        ("WAL, MB/s", ",.1f"), ("grows, GB a day", ",.1f"),
    )  # fmt: skip
    for cores in (1, 2, 4, 8, 16, 32, 64):
        rate = BUSY * cores * 1000 / figures.postgres_ms
        report.add(
            str(cores), rate, rate * DAY / 1e6, rate * cost.wal_bytes / 1e6,
            rate * DAY * cost.kept_bytes / 1e9,
        )  # fmt: skip
    report.table(
        "What a file leaves, of new content, queued and stored",
        ("", ""), ("bytes", ",.0f"), ("of a file of 100 KB", ".1%"),
    )  # fmt: skip
    report.add("WAL", cost.wal_bytes, cost.wal_bytes / 100_000)
    report.add("rows and indexes", cost.kept_bytes, cost.kept_bytes / 100_000)


async def one(
    postgres: PostgresServer,
    contender: Pgmedia,
    ids: list[str],
    pollers: int,
    servers: Servers,
    *,
    flushed: bool,
) -> tuple[Figures, Cost, Counter[str]]:
    dsn = await new_database(postgres, "bench")
    db: Any = await asyncpg.connect(dsn)
    await db.execute(f"alter database bench set synchronous_commit to {flushed}")
    before = await db.fetchval(WRITTEN), await db.fetchval(KEPT)
    doing: Counter[str] = Counter()
    watching = asyncio.create_task(watch(dsn, doing))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(dsn, servers, ids, pollers, Path(folder), db)
        postmaster = (postgres.folder / "data" / "postmaster.pid").read_text().split()[0]
        figures = await measure(contender, run, int(postmaster))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    done = await contender.done(run)
    cost = Cost(
        float(await db.fetchval(WRITTEN) - before[0]) / done,
        (await db.fetchval(KEPT) - before[1]) / done,
    )
    await db.close()
    return figures, cost, doing


async def watch(dsn: str, doing: Counter[str]) -> None:
    """Ten times a second, see what the sessions are doing; until cancelled."""
    db: Any = await asyncpg.connect(dsn)
    try:
        while True:
            for row in await db.fetch(SESSIONS):
                doing[row["doing"]] += row["sessions"]
            await asyncio.sleep(0.1)
    finally:
        await db.close()


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
