"""The whole pipeline: files and bytes a second, of one poller and of one per core.

`make bench-pipeline`. Download, hash, check, record and upload, 16 at once, beside the same by hand
on PgQueuer and Procrastinate, and beside a bare loop over aiohttp. nginx stands for WhatsApp and
Storage, Postgres has its own defaults. `--short` takes fewer files, `--json FILE` writes the
figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from dataclasses import asdict
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
from bench.pipeline.measuring import Figures, measure
from bench.pipeline.servers import Servers, serving
from poller.sandbox.postgres import PostgresServer

SIZES = {1_000: 4_000, 100_000: 3_000, 1_000_000: 800, 16_000_000: 60}
"""Bytes of a file, and how many of them."""
DURABLE: dict[str, str] = {"max_connections": "200"}
HEADINGS = "  files/s      MB/s  of bound   worker ms   postgres ms  (CPU a file)"


async def run(divisor: int, programs: Path | None) -> dict[str, dict[str, Figures]]:
    contenders: list[Contender] = [
        Bound(), Pgmedia(checks=False), Pgmedia(checks=True), WithPgQueuer(), WithProcrastinate(),
    ]  # fmt: skip
    results: dict[str, dict[str, Figures]] = {}
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
                    figures: dict[str, Figures] = {}
                    results[title] = figures
                    print(f"  {'':32} {HEADINGS}")
                    for contender in contenders:
                        figures[contender.name] = await one(
                            postgres, contender, ids, processes, servers
                        )
                        show(contender.name, figures, size)
                for path in (Path(folder) / "files" / "bytes").iterdir():
                    path.unlink()
    return results


def show(name: str, figures: dict[str, Figures], size: int) -> None:
    its, bound = figures[name], next(iter(figures.values()))
    print(
        f"  {name:32} {its.files_per_second:9.1f} {its.files_per_second * size / 1e6:9.1f}"
        f" {its.files_per_second / bound.files_per_second:9.2f}"
        f" {its.worker_ms:11.2f} {its.postgres_ms:13.2f}",
        flush=True,
    )


async def one(
    postgres: PostgresServer, contender: Contender, ids: list[str], processes: int, servers: Servers
) -> Figures:
    server = await asyncpg.connect(postgres.dsn())
    await server.execute("create database bench")
    db = await asyncpg.connect(postgres.dsn("bench"))
    with tempfile.TemporaryDirectory() as folder:
        work = Run(postgres.dsn("bench"), servers, ids, processes, Path(folder), db)
        postmaster = (postgres.folder / "data" / "postmaster.pid").read_text().split()[0]
        figures = await measure(contender, work, int(postmaster))
    await db.close()
    await server.execute("drop database bench with (force)")
    await server.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--postgres", type=Path, help="a folder of Postgres programs")
    chosen = parser.parse_args()
    results = asyncio.run(run(10 if chosen.short else 1, chosen.postgres))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2, default=asdict) + "\n")


if __name__ == "__main__":
    main()
