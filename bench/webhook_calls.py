"""Calls at a steady rate, made in a process of its own: nothing else slows its clock."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from tests.webhook.payloads import signature

RECEIVE = "select public.receive_whatsapp_webhook($1)"

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Times:
    """Of every call, in milliseconds."""

    answered: list[float]
    """From when it was due to its answer."""
    late: list[float]
    """From when it was due until it was sent: what the machine adds, not the door."""


def percentile(times: list[float], part: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[part - 1]


def call_steadily(address: str, bodies: list[bytes], per_second: float) -> Times:
    """Send each body to a webhook's URL, or as a SQL call to a database."""
    sender = http_calls(address) if address.startswith("http") else sql_calls(address)
    return asyncio.run(_call_steadily(sender, bodies, per_second))


async def _call_steadily(sender: Any, bodies: list[bytes], per_second: float) -> Times:
    times = Times([], [])

    async def call(send: Send, body: bytes, due: float) -> None:
        times.late.append(1000 * (time.perf_counter() - due))
        await send(body)
        times.answered.append(1000 * (time.perf_counter() - due))

    async with sender as send, asyncio.TaskGroup() as tasks:
        begun = time.perf_counter()
        for number, body in enumerate(bodies):
            due = begun + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(call(send, body, due))  # a slow call does not hold up the next
    return times


@asynccontextmanager
async def http_calls(url: str) -> AsyncGenerator[Send]:
    async with httpx.AsyncClient(timeout=30) as http:

        async def send(body: bytes) -> None:
            headers = {"X-Hub-Signature-256": signature(body)}
            answer = await http.post(url, content=body, headers=headers)
            assert answer.status_code == 200, answer.text

        yield send


@asynccontextmanager
async def sql_calls(dsn: str) -> AsyncGenerator[Send]:
    async with asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool:

        async def send(body: bytes) -> None:
            await pool.fetchval(RECEIVE, body.decode())

        yield send
