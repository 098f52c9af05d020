"""How much memory a poller takes: against the size of files, and against the backlog.

A real poller, with its inspectors, against the stand-ins in another process. The 16 files come
slowly enough for all of them to be in work at the same time; when they were not, there is no
figure. What is reported is the resident memory that Linux counts, in MiB: of the poller idle and
its peak (VmHWM); of the inspectors together the peak, and how much of that is their own, not pages
of files. Then a poller stores 300 files of 100 KB in front of few or many other rows of the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.command import Bench, main, new_database
from bench.filling import fill_queue
from bench.large_files import write_file
from bench.report import Aim, Report
from bench.stand_ins import ask, offer, stand_ins
from poller.sandbox.postgres import FAST_AND_FORGETFUL, PostgresServer, die_with_parent
from tests.helpers import create_login, eventually, queue_media

FILES = 16
SIZES = (1_000_000, 10_000_000, 50_000_000)
DOWNLOAD_SECONDS = 3
BACKLOG_FILES = 300
SAMPLE_SECONDS = 0.02
IN_WORK = "select count(*) from media_processing_queue where status = 'processing'"
USER = "bench_poller"
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run, in bytes. `inspectors`: the processes that look into files, all together."""

    poller_idle: int
    poller_peak: int
    inspector_count: int
    inspectors_peak: int
    inspectors_own_peak: int
    all_peak: int


def memory_of(pid: int, what: str) -> int:
    """A line of /proc/pid/status in bytes; 0 for a process that has gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == what:
                return int(value.split()[0]) * 1024
    return 0


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def measure(
    dsn: str, servers: Any, environment: dict[str, str], size: int, folder: Path
) -> Figures:
    db: Any = await asyncpg.connect(dsn)
    files: list[tuple[str, str]] = []
    for number in range(FILES):
        path, mime_type, media_type = write_file(folder, number, size)
        files.append((await offer(servers, path, mime_type, size // DOWNLOAD_SECONDS), media_type))
    at_once = inspectors_peak = inspectors_own_peak = all_peak = 0
    seen: set[int] = set()
    async with polling(dsn, environment, folder) as poller:
        await asyncio.sleep(1)
        idle = memory_of(poller.pid, "VmRSS")
        async with db.transaction():
            for media_id, media_type in files:
                await queue_media(db, media_id, media_type=media_type)
        while await left(db, folder):
            children = children_of(poller.pid)
            resident = sum(memory_of(child, "VmRSS") for child in children)
            inspectors_peak = max(inspectors_peak, resident)
            own = sum(memory_of(child, "RssAnon") for child in children)
            inspectors_own_peak = max(inspectors_own_peak, own)
            all_peak = max(all_peak, resident + memory_of(poller.pid, "VmRSS"))
            seen.update(children)
            at_once = max(at_once, await db.fetchval(IN_WORK))
            await asyncio.sleep(SAMPLE_SECONDS)
        peak = memory_of(poller.pid, "VmHWM")
    await db.close()
    if at_once != FILES:
        raise RuntimeError(f"{at_once} files were in work at once, not {FILES}")
    return Figures(
        poller_idle=idle,
        poller_peak=peak,
        inspector_count=len(seen),
        inspectors_peak=inspectors_peak,
        inspectors_own_peak=inspectors_own_peak,
        all_peak=all_peak,
    )


async def measure_backlog(
    dsn: str, media_ids: list[str], environment: dict[str, str], backlog: int, folder: Path
) -> tuple[int, int]:
    """Idle and peak memory of a poller that stores files in front of so many other rows."""
    db: Any = await asyncpg.connect(dsn)
    await fill_queue(db, backlog)
    await db.execute("vacuum analyze", timeout=600)
    async with db.transaction():
        for media_id in media_ids:
            await queue_media(db, media_id, media_type="image", priority=1)
    async with polling(dsn, environment, folder) as poller:
        idle = memory_of(poller.pid, "VmRSS")
        while await left(db, folder, "priority = 1"):  # noqa: ASYNC110 - another process works
            await asyncio.sleep(SAMPLE_SECONDS)
        peak = memory_of(poller.pid, "VmHWM")
    await db.close()
    return idle, peak


async def left(db: Any, folder: Path, which: str = "true") -> int:
    """How many attachments are in the queue; none of them may have failed."""
    count, failed = await db.fetchrow(
        "select count(*), count(*) filter (where last_error_code is not null)"
        f" from media_processing_queue where {which}"
    )
    if failed:
        raise RuntimeError(f"a file was not stored:\n{(folder / 'log').read_text()}")
    return count


@contextlib.asynccontextmanager
async def polling(
    dsn: str, environment: dict[str, str], folder: Path
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A poller that is listening, with the rights of a poller."""
    await run_command(environment | {"DATABASE_URL": dsn}, "buckets", "--yes")
    log = folder / "log"
    login = dsn.replace("postgres@", f"{USER}@")
    with log.open("wb") as stream:
        poller = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "poll", env=environment | {"DATABASE_URL": login},
            stdout=stream, stderr=stream, preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        await eventually(lambda: "woken by LISTEN/NOTIFY" in log.read_text())
        yield poller
    finally:
        poller.terminate()
        await poller.wait()


async def run_command(environment: dict[str, str], *command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", *command, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(output.decode())


async def database_for(postgres: PostgresServer, name: str) -> str:
    dsn = await new_database(postgres, name)
    db: Any = await asyncpg.connect(dsn)
    await db.execute(create_login(USER, "unused", "media_poller"))
    await db.close()
    return dsn


async def run(bench: Bench) -> None:
    with tempfile.TemporaryDirectory() as name, bench.postgres(FAST_AND_FORGETFUL) as postgres:
        folder = Path(name)
        async with stand_ins(folder / "files") as servers:
            environment = {"PATH": os.environ["PATH"], **await ask(servers)}
            await run_sizes(bench.report, postgres, servers, environment, folder)
            await run_backlogs(bench, postgres, servers, environment, folder)


async def run_sizes(
    report: Report, postgres: PostgresServer, servers: Any, environment: dict[str, str],
    folder: Path,
) -> None:  # fmt: skip
    report.table(
        "Against the size of files, MiB", ("files", ""), ("poller idle", ",.1f"),
        ("its peak", ",.1f"), ("ratio", ".2f"), ("of 1 MB's", ".2f"), ("inspectors", ",d"),
        ("their peak", ",.1f"), ("of it their own", ",.1f"), ("all, peak", ",.1f"),
    )  # fmt: skip
    ratio = smallest = 0.0
    for size in SIZES:
        dsn = await database_for(postgres, f"bench_{size}")
        one = await measure(dsn, servers, environment, size, folder)
        smallest = smallest or one.poller_peak
        ratio = one.poller_peak / smallest
        report.add(
            f"{FILES} x {size // 10**6} MB", one.poller_idle / MIB, one.poller_peak / MIB,
            one.poller_peak / one.poller_idle, ratio, one.inspector_count,
            one.inspectors_peak / MIB, one.inspectors_own_peak / MIB, one.all_peak / MIB,
        )  # fmt: skip
    report.aims.append(
        Aim("a poller's peak with files of 50 MB, of that with 1 MB", ratio, at_most=1.1)
    )


async def run_backlogs(
    bench: Bench, postgres: PostgresServer, servers: Any, environment: dict[str, str], folder: Path
) -> None:
    files = [write_file(folder, 5 * n, 100_000) for n in range(BACKLOG_FILES)]
    media_ids = [await offer(servers, path, kind, 100_000_000) for path, kind, _ in files]
    bench.report.table(
        f"Against the backlog, {BACKLOG_FILES} files of 100 KB, MiB", ("other rows", ""),
        ("poller idle", ",.1f"), ("its peak", ",.1f"), ("of the first's", ".2f"),
    )  # fmt: skip
    ratio = first = 0.0
    for backlog in bench.size((1000, 100_000, 1_000_000), (1000, 100_000)):
        dsn = await database_for(postgres, f"backlog_{backlog}")
        idle, peak = await measure_backlog(dsn, media_ids, environment, backlog, folder)
        first = first or peak
        ratio = peak / first
        bench.report.add(f"{backlog:,}", idle / MIB, peak / MIB, ratio)
    what = "a poller's peak with the largest backlog, of that with the smallest"
    bench.report.aims.append(Aim(what, ratio, at_most=1.1))


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
