"""The whole pipeline: files and bytes a second, of one poller and of one per core.

Download, hash, check, record and upload, 16 files at once in each process, beside the same by hand
on PgQueuer and Procrastinate, and beside a bare loop over aiohttp that makes the same requests.
nginx stands for WhatsApp and Storage, Postgres has its own defaults. CPU time is that of a file, in
ms: of the workers and their children, of Postgres, of nginx.
"""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from bench.command import DURABLE, Bench, main, new_database
from bench.pipeline.contenders import (
    Bound,
    Contender,
    Pgmedia,
    Run,
    ServersAlone,
    WithPgQueuer,
    WithProcrastinate,
)
from bench.pipeline.measuring import Figures, measure
from bench.pipeline.servers import Servers, serving
from bench.report import NO_FIGURE, Aim, Report
from poller.sandbox.postgres import PostgresServer

CORES = os.cpu_count() or 1
SIZES = {
    1_000: (8_000, 1_000),
    100_000: (4_000, 600),
    1_000_000: (1_000, 240),
    16_000_000: (240, 96),
}
"""Bytes of a file, and how many of them, in the long form and in the short one."""
ONE_CORE = 100_000
"""Bytes of the files that are also fetched with all of a poller's processes on one core."""
NGINX_WORKERS = 2
MOST_BYTES = 3_000_000_000
"""That are fetched by those who are given the files several times."""
LEAST_FILES = 32
"""That are fetched by those who are given a part of them."""

UNCHECKED, CHECKED = Pgmedia(checks=False), Pgmedia(checks=True)
PEERS: list[Contender] = [WithPgQueuer(), WithProcrastinate()]
OF_ALL: list[Contender] = [Bound(), *PEERS, UNCHECKED, CHECKED]


async def run(bench: Bench) -> None:
    found: dict[str, dict[str, Figures]] = {}
    alone: dict[int, Figures] = {}
    with bench.postgres(DURABLE) as postgres, tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as servers:
            for size, counts in SIZES.items():
                ids = servers.add_files(size, bench.size(*counts))
                alone[size] = await one(postgres, ServersAlone(), ids, 2 * CORES, servers)
                ways = [(1, None), (CORES, None)] + ([(1, 1)] if size == ONE_CORE else [])
                for processes, cores in ways:
                    title = f"{size:,} bytes, {processes} process{'es' if processes > 1 else ''}"
                    title += f" on {cores} core" if cores else ""
                    head(bench.report, title)
                    found[title] = {}
                    for contender in OF_ALL:
                        found[title][contender.name] = await one(
                            postgres, contender, ids, processes, servers, cores
                        )
                        show(bench.report, contender.name, found[title], size)
                for path in (Path(folder) / "files" / "bytes").iterdir():
                    path.unlink()
    show_servers(bench.report, alone)
    bench.report.aims.extend(aims(found))


def head(report: Report, title: str) -> None:
    report.table(
        title, ("", ""), ("files/s", ",.1f"), ("MB/s", ",.1f"), ("of bound", ".2f"),
        ("of the best by hand", ".2f"), ("worker ms", ".2f"), ("Postgres ms", ".2f"),
        ("nginx ms", ".2f"),
    )  # fmt: skip


def show(report: Report, name: str, figures: dict[str, Figures], size: int) -> None:
    its = figures[name]
    is_ours = name in {UNCHECKED.name, CHECKED.name}
    report.add(
        name, its.files_per_second, its.files_per_second * size / 1e6,
        its.files_per_second / figures[Bound.name].files_per_second,
        its.files_per_second / best(figures) if is_ours else NO_FIGURE,
        its.worker_ms, its.postgres_ms, its.nginx_ms,
    )  # fmt: skip


def best(figures: dict[str, Figures]) -> float:
    return max(figures[peer.name].files_per_second for peer in PEERS)


def show_servers(report: Report, alone: dict[int, Figures]) -> None:
    report.table(
        f"The servers alone: nginx with {NGINX_WORKERS} workers, asked by {2 * CORES} processes"
        " with bare sockets",
        ("bytes", ",d"), ("files/s", ",.0f"), ("MB/s", ",.0f"), ("nginx ms", ".3f"),
        ("files/s by its CPU time", ",.0f"),
    )  # fmt: skip
    for size, its in alone.items():
        most = 1000 * NGINX_WORKERS / its.nginx_ms if its.nginx_ms else NO_FIGURE
        rate = its.files_per_second
        report.add(size, rate, rate * size / 1e6, its.nginx_ms, most)


def aims(found: dict[str, dict[str, Figures]]) -> Iterable[Aim]:
    """Of each, the worst of all sizes."""
    for contender, wanted in ((UNCHECKED, 0.8), (CHECKED, 0.6)):
        ratio, title = min(
            (one[contender.name].files_per_second / one[Bound.name].files_per_second, title)
            for title, one in found.items()
        )
        yield Aim(f"files/s of {contender.name}, of the bound: least, {title}", ratio, wanted)
    ratio, title = min(
        (one[CHECKED.name].files_per_second / best(one), title) for title, one in found.items()
    )
    yield Aim(f"files/s of {CHECKED.name}, of the best by hand: least, {title}", ratio, 4)
    title = f"{ONE_CORE:,} bytes, 1 process on 1 core"
    rate = found[title][CHECKED.name].files_per_second
    yield Aim(f"files/s of {CHECKED.name}, {title}", rate, 100)


def share_of(contender: Contender, ids: list[str]) -> list[str]:
    size = int(ids[0].partition("-")[0])
    most = max(len(ids), MOST_BYTES // size)
    count = max(int(len(ids) * contender.share), min(len(ids), LEAST_FILES))
    return (ids * math.ceil(contender.share))[: min(count, most)]


async def one(
    postgres: PostgresServer, contender: Contender, ids: list[str], processes: int,
    servers: Servers, cores: int | None = None,
) -> Figures:  # fmt: skip
    dsn = await new_database(postgres, "bench", migrated=isinstance(contender, Pgmedia))
    db = await asyncpg.connect(dsn)
    with tempfile.TemporaryDirectory() as folder:
        ids = share_of(contender, ids)
        work = Run(dsn, servers, ids, processes, Path(folder), db, cores)
        postmaster = (postgres.folder / "data" / "postmaster.pid").read_text().split()[0]
        figures = await measure(contender, work, int(postmaster))
    await db.close()
    return figures


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
