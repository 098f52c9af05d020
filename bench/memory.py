"""How much memory a poller takes for 16 large files at once: `make bench-memory`.

A real poller, with its inspectors, against the stand-ins in another process. The files come slowly
enough for all of them to be in work at the same time; when they were not, there is no figure. What
is reported is the resident memory that Linux counts: of the poller idle and its peak (VmHWM); of
the inspectors together the peak, and how much of that is their own, not pages of files. `--json`
prints the figures for a program, and a folder of Postgres programs may be given.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from bench.large_files import write_file
from poller.migrate import migrate
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import create_login, eventually, queue_media

FILES = 16
SIZES = (1_000_000, 10_000_000, 50_000_000)
DOWNLOAD_SECONDS = 3
SAMPLE_SECONDS = 0.02
USER = "bench_poller"
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run, in bytes. `inspectors`: the processes that look into files, all together."""

    files: int
    file_bytes: int
    poller_idle: int
    poller_peak: int
    inspector_count: int
    inspectors_peak: int
    inspectors_own_peak: int
    all_peak: int

    @property
    def ratio(self) -> float:
        """How often the idle memory of the poller fits into its peak."""
        return self.poller_peak / self.poller_idle


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


@contextlib.asynccontextmanager
async def stand_ins(folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """WhatsApp and Storage in a process of their own, whose first line has their addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.memory", "--stand-ins", folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, request: object = None) -> Any:
    """Send a line of JSON, if there is one, and read one."""
    assert process.stdin is not None
    assert process.stdout is not None
    if request is not None:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
    return json.loads(await process.stdout.readline())


async def serve_stand_ins(folder: Path) -> None:
    """Register the file of each line on standard input, until that ends."""
    async with WhatsAppApi() as whatsapp, StorageApi(folder) as storage:
        addresses = {
            "SUPABASE_URL": storage.url,
            "SUPABASE_SERVICE_KEY": storage.service_key,
            "WHATSAPP_API_URL": whatsapp.url,
            "WHATSAPP_TOKEN": whatsapp.token,
        }
        print(json.dumps(addresses), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            slow = Fault.slow(wanted["bytes_per_second"])
            whatsapp.faults.always("download", slow)
            media_id = whatsapp.add_media(Path(wanted["path"]), wanted["mime_type"])
            print(json.dumps(media_id), flush=True)


async def measure(dsn: str, login: str, servers: Any, environment: dict[str, str], size: int,
                  folder: Path) -> Figures:  # fmt: skip
    db: Any = await asyncpg.connect(dsn)
    await run("buckets", environment | {"DATABASE_URL": dsn})
    log = folder / f"poller-{size}.log"
    with log.open("wb") as stream:
        poller = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "poll", env=environment | {"DATABASE_URL": login},
            stdout=stream, stderr=stream,
        )  # fmt: skip
    files: list[tuple[str, str]] = []
    for number in range(FILES):
        path, mime_type, media_type = write_file(folder, number, size)
        wanted = {
            "path": str(path),
            "mime_type": mime_type,
            "bytes_per_second": size // DOWNLOAD_SECONDS,
        }
        files.append((await ask(servers, wanted), media_type))
    await eventually(lambda: "woken by LISTEN/NOTIFY" in log.read_text())
    await asyncio.sleep(1)
    idle = memory_of(poller.pid, "VmRSS")

    async with db.transaction():
        for media_id, media_type in files:
            await queue_media(db, media_id, media_type=media_type)
    at_once = inspectors_peak = inspectors_own_peak = all_peak = 0
    seen: set[int] = set()
    while await db.fetchval("select count(*) from media where not processed") > 0:
        children = children_of(poller.pid)
        resident = sum(memory_of(child, "VmRSS") for child in children)
        inspectors_peak = max(inspectors_peak, resident)
        own = sum(memory_of(child, "RssAnon") for child in children)
        inspectors_own_peak = max(inspectors_own_peak, own)
        all_peak = max(all_peak, resident + memory_of(poller.pid, "VmRSS"))
        seen.update(children)
        at_once = max(at_once, await db.fetchval(
            "select count(*) from media_processing_queue where status = 'processing'"))  # fmt: skip
        if await db.fetchval("select exists (select from media where failure_code is not null)"):
            raise RuntimeError(f"a file was not stored:\n{log.read_text()}")
        await asyncio.sleep(SAMPLE_SECONDS)
    peak = memory_of(poller.pid, "VmHWM")
    if at_once != FILES:
        raise RuntimeError(f"{at_once} files were in work at once, not {FILES}")
    poller.terminate()
    await poller.wait()
    await db.close()
    return Figures(
        files=FILES,
        file_bytes=size,
        poller_idle=idle,
        poller_peak=peak,
        inspector_count=len(seen),
        inspectors_peak=inspectors_peak,
        inspectors_own_peak=inspectors_own_peak,
        all_peak=all_peak,
    )


async def run(command: str, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", command, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(output.decode())


def show(all_figures: list[Figures]) -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; MiB")
    print("|            | poller idle | peak  | ratio | inspectors | their peak | own   | all   |")
    print("|------------|-------------|-------|-------|------------|------------|-------|-------|")
    for one in all_figures:
        idle, peak, inspectors, own, every = (
            f"{size / MIB:.1f}"
            for size in (
                one.poller_idle,
                one.poller_peak,
                one.inspectors_peak,
                one.inspectors_own_peak,
                one.all_peak,
            )
        )
        print(
            f"| {one.files} x {one.file_bytes // 10**6:2} MB | {idle:>11} | {peak:>5} |"
            f" {one.ratio:5.2f} | {one.inspector_count:10} | {inspectors:>10} | {own:>5} |"
            f" {every:>5} |"
        )


async def bench(programs: Path | None) -> list[Figures]:
    all_figures: list[Figures] = []
    with tempfile.TemporaryDirectory() as name, PostgresServer(programs) as postgres:
        folder = Path(name)
        async with stand_ins(folder / "files") as servers:
            environment = {"PATH": os.environ["PATH"], **await ask(servers)}
            for size in SIZES:
                database = f"bench_{size}"
                db: Any = await asyncpg.connect(postgres.dsn())
                await db.execute(f"create database {database}")
                await asyncio.to_thread(migrate, SecretStr(postgres.dsn(database)))
                await db.execute(create_login(USER, "unused", "media_poller"))
                await db.close()
                login = postgres.dsn(database, USER)
                all_figures.append(
                    await measure(postgres.dsn(database), login, servers, environment, size, folder)
                )
    return all_figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("programs", nargs="?", type=Path, help="folder of Postgres programs")
    arguments.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments.add_argument("--stand-ins", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.stand_ins is not None:
        asyncio.run(serve_stand_ins(given.stand_ins))
        return
    all_figures = asyncio.run(bench(given.programs))
    if given.json:
        print(json.dumps([{**asdict(one), "ratio": round(one.ratio, 3)} for one in all_figures]))
    else:
        show(all_figures)


if __name__ == "__main__":
    main()
