"""The whole pipeline: files and bytes a second, of one poller and of one per core.

`make bench-pipeline`. Download, hash, check, record and upload, 16 at once, beside the same by hand
on PgQueuer and Procrastinate, and beside a bare loop over aiohttp. nginx stands for WhatsApp and
Storage, Postgres has its own defaults. `--short` takes fewer files, `--json FILE` writes the
figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from bench.pipeline.contenders import (
    Bound,
    Contender,
    Pgmedia,
    Run,
    WithPgQueuer,
    WithProcrastinate,
)
from bench.pipeline.servers import Servers, serving
from poller.sandbox.postgres import PostgresServer

SIZES = {1_000: 4_000, 100_000: 3_000, 1_000_000: 800, 16_000_000: 60}
"""Bytes of a file, and how many of them."""
DURABLE: dict[str, str] = {"max_connections": "200"}
WARM = 0.2
"""The share of the files that is not timed: Python starts, connections open."""


async def measure(contender: Contender, run: Run) -> float:
    """Files a second."""
    await contender.prepare(run)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *contender.arguments, env=run.environment(number),
            stdout=asyncio.subprocess.DEVNULL, stderr=(run.folder / "log").open("ab"),
        )
        for number in range(run.processes)
    ]  # fmt: skip
    try:
        async with asyncio.timeout(300):
            first, since = await reached(contender, run, int(len(run.ids) * WARM))
            last, until = await reached(contender, run, len(run.ids))
    except TimeoutError:
        raise SystemExit((run.folder / "log").read_text()[-2000:]) from None
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    return (last - first) / (until - since)


async def reached(contender: Contender, run: Run, count: int) -> tuple[int, float]:
    while (done := await contender.done(run)) < count:  # noqa: ASYNC110 - others count
        await asyncio.sleep(0.02)
    return done, time.perf_counter()


async def run(divisor: int, programs: Path | None) -> dict[str, dict[str, float]]:
    contenders: list[Contender] = [
        Bound(), Pgmedia(checks=False), Pgmedia(checks=True), WithPgQueuer(), WithProcrastinate(),
    ]  # fmt: skip
    results: dict[str, dict[str, float]] = {}
    with (
        PostgresServer(programs, settings=DURABLE) as postgres,
        tempfile.TemporaryDirectory() as folder,
    ):
        async with serving(Path(folder)) as servers:
            for size, of_all in SIZES.items():
                ids = servers.add_files(size, max(30, of_all // divisor))
                for processes in (1, os.cpu_count() or 1):
                    title = f"{size:,} bytes, {processes} process{'es' if processes > 1 else ''}"
                    print(f"\n{title} (load {os.getloadavg()[0]:.1f})", flush=True)
                    figures: dict[str, float] = {}
                    results[title] = figures
                    for contender in contenders:
                        rate = await one(postgres, contender, ids, processes, servers)
                        figures[contender.name] = rate
                        ratio = rate / figures[contenders[0].name]
                        cells = f"{rate:8.1f} files/s {rate * size / 1e6:8.1f} MB/s {ratio:6.2f}"
                        print(f"  {contender.name:32} {cells} of the bound", flush=True)
                for path in (Path(folder) / "files" / "bytes").iterdir():
                    path.unlink()
    return results


async def one(
    postgres: PostgresServer, contender: Contender, ids: list[str], processes: int, servers: Servers
) -> float:
    server = await asyncpg.connect(postgres.dsn())
    await server.execute("create database bench")
    db = await asyncpg.connect(postgres.dsn("bench"))
    with tempfile.TemporaryDirectory() as folder:
        work = Run(postgres.dsn("bench"), servers, ids, processes, Path(folder), db)
        rate = await measure(contender, work)
    await db.close()
    await server.execute("drop database bench with (force)")
    await server.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--postgres", type=Path, help="a folder of Postgres programs")
    chosen = parser.parse_args()
    results = asyncio.run(run(10 if chosen.short else 1, chosen.postgres))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
