"""The one command line of all benchmarks, and the machine that they ran on."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import psycopg
from pydantic import SecretStr

from bench.report import Report
from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer

DURABLE: dict[str, str] = {}
"""Postgres's own settings: every commit is on disk when it is answered."""
SHOWN = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
MIGRATED = "migrated"
"""The database that others with pgmedia's schema are copies of."""

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Bench:
    """A run of one part: how it was asked for, and where its figures go."""

    short: bool
    programs: Path | None
    """A folder of Postgres programs; None for the embedded ones."""
    report: Report

    def size(self, full: Choice, short: Choice) -> Choice:
        return short if self.short else full

    @contextlib.contextmanager
    def postgres(self, settings: dict[str, str]) -> Generator[PostgresServer]:
        """A server of its own, whose version and durability the report tells."""
        with PostgresServer(
            self.programs, settings={"max_connections": "200"} | settings
        ) as server:
            shown = read_settings(server.dsn())
            shown["a flush to its disk"] = f"{flush_ms(server.folder):.2f} ms"
            self.report.machine["postgres"] = shown
            print("Postgres", ", ".join(f"{name} {value}" for name, value in shown.items()))
            yield server


def read_settings(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn) as db:
        rows = db.execute("select name, current_setting(name) from pg_settings"
            " where name = any (%s)", [list(SHOWN)])  # fmt: skip
        shown = dict(rows.fetchall())
    return {name: shown[name] for name in SHOWN}


def flush_ms(folder: Path) -> float:
    """The median time that a written page takes to the disk of a folder."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            file.write(bytes(8192))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


async def new_database(postgres: PostgresServer, name: str, *, migrated: bool = True) -> str:
    """The address of a new database, empty or with pgmedia's schema, which is brought once."""
    db: Any = await asyncpg.connect(postgres.dsn())
    await db.execute(f"drop database if exists {name} with (force)")
    is_there = "select exists (select from pg_database where datname = $1)"
    if migrated and not await db.fetchval(is_there, MIGRATED):
        await db.execute(f"create database {MIGRATED}")
        await asyncio.to_thread(migrate, SecretStr(postgres.dsn(MIGRATED)))
    await db.execute(f"create database {name} template {MIGRATED if migrated else 'template1'}")
    await db.close()
    return postgres.dsn(name)


def machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--short", action="store_true", help="less of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument(
        "--postgres", type=Path, metavar="DIR",
        help="the folder of initdb, postgres and pgbench (by default those of the wheel)",
    )  # fmt: skip


def main(doc: str | None, run: Callable[[Bench], None]) -> None:
    """Run one part, as `python -m bench.PART` does."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    chosen = parser.parse_args()
    report = Report(machine() | {"short": chosen.short})
    head = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    print((doc or "").partition("\n")[0], f"({head})", sep="\n", flush=True)
    run(Bench(chosen.short, chosen.postgres, report))
    report.show_aims()
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
