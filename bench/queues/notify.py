"""What waking the pollers costs whoever queues: the same with no NOTIFY, in turns."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import asyncpg

from bench.queues.measuring import CLIENTS, enqueue
from bench.queues.of_pgmedia import PgmediaQueue

QUIET = """
create or replace function public.wake_media_pollers() returns void
language sql set search_path = '' as ''
"""
AS_IT_IS = """
select pg_get_functiondef(oid) from pg_proc where proname = 'wake_media_pollers'
"""


async def measure_notify(dsn: str, count: int, rounds: int) -> tuple[float, ...]:
    """Jobs a second with NOTIFY and without, and the median of the rounds' ratios."""
    queue = PgmediaQueue("new")
    await queue.open(dsn, CLIENTS)
    listener: Any = await asyncpg.connect(dsn)
    heard: list[object] = []

    def hear(*told: object) -> None:
        heard.append(told)

    await listener.add_listener("pgmedia_wake", hear)
    as_it_is = await listener.fetchval(AS_IT_IS)
    rates: dict[bool, list[float]] = {True: [], False: []}
    await enqueue(queue, count, CLIENTS)  # to warm up
    for number in range(2 * rounds):
        loud = number % 4 in (0, 3)  # loud, quiet, quiet, loud: neither is always the later one
        await listener.execute(as_it_is if loud else QUIET)
        heard.clear()
        rates[loud].append(await enqueue(queue, count, CLIENTS))
        await asyncio.sleep(0.1)  # for the last notification to come
        assert bool(heard) == loud, f"{len(heard)} notifications with NOTIFY {loud}"
    await listener.close()
    await queue.close()
    ratios = [loud / quiet for loud, quiet in zip(rates[True], rates[False], strict=True)]
    return tuple(statistics.median(each) for each in (rates[True], rates[False], ratios))
