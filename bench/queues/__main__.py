"""Queues alone: how fast jobs go in, come out, and how soon a worker starts on one.

`make bench-queue`; `--short` for a tenth of the jobs, `--json FILE` to write the figures as well.
Every queue has a database of its own on one Postgres with its own defaults (every commit on disk),
and runs after the others, its workers in the process that measures.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from bench.queues.bound import drain_bare_queue
from bench.queues.contender import Contender
from bench.queues.of_pgmedia import PgmediaQueue
from bench.queues.of_pgqueuer import PgQueuerQueue
from bench.queues.of_procrastinate import ProcrastinateQueue
from bench.webhook_calls import percentile
from poller.sandbox.postgres import PostgresServer

CLIENTS = 16
BULK = 1000
DURABLE: dict[str, str] = {}

Figures = dict[str, float]
numbers = itertools.count(1)


def references(count: int) -> list[str]:
    return [f"media-{next(numbers)}" for _ in range(count)]


class Watch:
    """Waits for jobs to be started on, and knows when that was."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}
        self._count = 0
        self._enough = asyncio.Event()

    def __call__(self, reference: str) -> None:
        self.started[reference] = time.perf_counter()
        if len(self.started) >= self._count:
            self._enough.set()

    async def wait(self, count: int) -> None:
        """Wait until a worker has started on so many jobs in all."""
        self._count = count
        self._enough.clear()
        if len(self.started) < count:
            async with asyncio.timeout(300):
                await self._enough.wait()


async def measure(queue: Contender, dsn: str, count: int, seconds: int) -> Figures:
    await queue.open(dsn, CLIENTS)
    figures: Figures = {}
    singly = count // 20
    figures["enqueue, 1 client"] = await enqueue(queue, singly, clients=1)
    figures[f"enqueue, {CLIENTS} clients"] = await enqueue(queue, singly * 4, clients=CLIENTS)
    figures[f"enqueue, {BULK} at once"] = await enqueue_bulk(queue, max(count, BULK))
    waiting = max(count, BULK) + singly * 5
    watch = Watch()
    begun = time.perf_counter()
    async with queue.working(watch):
        await watch.wait(waiting)
        figures["drain"] = waiting / (time.perf_counter() - begun)
        for name, latencies in (
            ("one by one", await one_by_one(queue, watch, seconds * 20)),
            ("100 a second", await steadily(queue, watch, seconds * 100)),
        ):
            figures[f"start, {name}, p50"] = percentile(latencies, 50)
            figures[f"start, {name}, p99"] = percentile(latencies, 99)
    await queue.close()
    return figures


async def enqueue(queue: Contender, count: int, clients: int) -> float:
    """Jobs a second, queued one a transaction."""
    names = references(count)
    await queue.prepare(names)

    async def client(number: int, share: Sequence[str]) -> None:
        for name in share:
            await queue.enqueue(number, name)

    begun = time.perf_counter()
    await asyncio.gather(*(client(n, names[n::clients]) for n in range(clients)))
    return count / (time.perf_counter() - begun)


async def enqueue_bulk(queue: Contender, count: int) -> float:
    batches = [references(BULK) for _ in range(count // BULK)]
    for batch in batches:
        await queue.prepare(batch)
    begun = time.perf_counter()
    for batch in batches:
        await queue.enqueue_all(batch)
    return count / (time.perf_counter() - begun)


async def one_by_one(queue: Contender, watch: Watch, count: int) -> list[float]:
    """Milliseconds from asking for a job to its start; the next is queued when that has started."""
    names = references(count)
    await queue.prepare(names)
    latencies: list[float] = []
    for name in names:
        begun = time.perf_counter()
        await queue.enqueue(0, name)
        await watch.wait(len(watch.started) + (name not in watch.started))
        latencies.append(1000 * (watch.started[name] - begun))
    return latencies


async def steadily(queue: Contender, watch: Watch, count: int) -> list[float]:
    """The same at 100 a second, whatever becomes of those before."""
    names = references(count)
    await queue.prepare(names)
    already = len(watch.started)
    start = time.perf_counter() + 0.1
    due = {name: start + n / 100 for n, name in enumerate(names)}

    async def client(number: int) -> None:
        for name in names[number::CLIENTS]:
            await asyncio.sleep(max(0, due[name] - time.perf_counter()))
            await queue.enqueue(number, name)

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    await watch.wait(already + count)
    return [1000 * (watch.started[name] - due[name]) for name in names]


async def run(count: int, seconds: int, programs: Path | None) -> dict[str, Figures]:
    queues: list[Contender] = [
        PgmediaQueue(),
        PgmediaQueue(notify=False),
        PgQueuerQueue(10),
        PgQueuerQueue(100),
        ProcrastinateQueue(),
    ]
    results: dict[str, Figures] = {}
    with PostgresServer(programs, settings=DURABLE) as postgres:
        db = await asyncpg.connect(postgres.dsn())
        print(await db.fetchval("select version()"))
        for number, queue in enumerate(queues):
            await db.execute(f"create database queue_{number}")
            jobs = count // 10 if isinstance(queue, ProcrastinateQueue) else count  # it is slow
            results[queue.name] = await measure(
                queue, postgres.dsn(f"queue_{number}"), jobs, seconds
            )
            show(queue.name, results[queue.name])
        await db.execute("create database bound")
        bound = await drain_bare_queue(postgres.dsn("bound"), postgres.programs, count)
        results["pgbench, claim and delete"] = {"drain": bound}
        show("pgbench, claim and delete", {"drain": bound})
        await db.close()
    return results


def show(name: str, figures: Figures) -> None:
    print(f"\n{name} (load {os.getloadavg()[0]:.1f})")
    for what, figure in figures.items():
        unit = "ms" if what.startswith("start") else "jobs/s"
        print(f"  {what:28} {figure:10,.1f} {unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--postgres", type=Path, help="a folder of Postgres programs")
    chosen = parser.parse_args()
    count, seconds = (2_000, 2) if chosen.short else (20_000, 10)
    results = asyncio.run(run(count, seconds, chosen.postgres))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
