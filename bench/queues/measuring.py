"""One queue, measured: jobs in, jobs out, and how soon a worker starts on one."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.queues.contender import Contender
from bench.webhook_calls import percentile

CLIENTS = 16
BULK = 1000
A_SECOND = 100
"""Jobs that come in a second, when latency is measured at a steady rate."""

numbers = itertools.count(1)


@dataclass(slots=True)
class Figures:
    """Jobs a second, and milliseconds from asking for a job until a worker starts on it."""

    one_client: float
    many_clients: float
    bulk: float
    drain: float
    one_by_one: tuple[float, float]
    """p50 and p99; the next job is queued when a worker has started on the last."""
    steadily: tuple[float, float]
    """p50 and p99; from when the job was due to be queued, whatever became of those before."""


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
    """`count`: jobs to drain; `seconds`: how long each latency is measured."""
    await queue.open(dsn, CLIENTS)
    count = round(count * queue.share)
    one_client = await enqueue(queue, count // 20, clients=1)
    many_clients = await enqueue(queue, count // 5, clients=CLIENTS)
    bulk = await enqueue_bulk(queue, max(count, BULK))
    waiting = max(count, BULK) // BULK * BULK + count // 20 + count // 5
    watch = Watch()
    begun = time.perf_counter()
    async with queue.working(watch):
        await watch.wait(waiting)
        drain = waiting / (time.perf_counter() - begun)
        singly = await latency_one_by_one(queue, watch, seconds)
        steadily = await latency_steadily(queue, watch, seconds * A_SECOND)
    await queue.close()
    return Figures(one_client, many_clients, bulk, drain, singly, steadily)


async def drain(queue: Contender, dsn: str, count: int) -> float:
    """Jobs a second, of those that are there when the workers start."""
    await queue.open(dsn, 1)
    await enqueue_bulk(queue, count)
    watch = Watch()
    begun = time.perf_counter()
    async with queue.working(watch):
        await watch.wait(count // BULK * BULK)
        taken = time.perf_counter() - begun
    await queue.close()
    return count / taken


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
    return len(batches) * BULK / (time.perf_counter() - begun)


async def latency_one_by_one(queue: Contender, watch: Watch, seconds: int) -> tuple[float, float]:
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        (name,) = references(1)
        await queue.prepare([name])
        begun = time.perf_counter()
        await queue.enqueue(0, name)
        await watch.wait(len(watch.started) + (name not in watch.started))
        latencies.append(1000 * (watch.started[name] - begun))
    return percentile(latencies, 50), percentile(latencies, 99)


async def latency_steadily(queue: Contender, watch: Watch, count: int) -> tuple[float, float]:
    names = references(count)
    await queue.prepare(names)
    already = len(watch.started)
    start = time.perf_counter() + 0.1
    due = {name: start + n / A_SECOND for n, name in enumerate(names)}

    async def client(number: int) -> None:
        for name in names[number::CLIENTS]:
            await asyncio.sleep(max(0, due[name] - time.perf_counter()))
            await queue.enqueue(number, name)

    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    await watch.wait(already + count)
    latencies = [1000 * (watch.started[name] - due[name]) for name in names]
    return percentile(latencies, 50), percentile(latencies, 99)
