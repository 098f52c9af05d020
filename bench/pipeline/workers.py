"""Programs that fetch the files of a list and upload them: `python -m bench.pipeline.workers NAME`.

Each does so with as many at once as the others. What they need comes in the environment; they end
when they are told to (SIGTERM). PgQueuer and pgmedia run on uvloop, as their own commands
do, and so does the bound, as what is fastest.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from procrastinate import App, PsycopgConnector

from bench.handwritten import Handwritten
from bench.queues.of_pgmedia import polling
from poller.config import Settings
from poller.content import Spool
from poller.event_loop import run_fast
from poller.inspector import Inspector
from poller.poll import poll

ON_UVLOOP = {"bound", "pgqueuer", "unchecked", "no_bytes"}
CONCURRENCY = int(os.environ.get("PGMEDIA_CONCURRENCY", "16"))
API = os.environ.get("WHATSAPP_API_URL", "")
STORAGE = os.environ.get("SUPABASE_URL", "")
HEADERS = {"Authorization": f"Bearer {os.environ.get('WHATSAPP_TOKEN', '')}"}
IDS = Path(os.environ.get("BENCH_IDS", ""))
DATABASE = os.environ.get("DATABASE_URL", "")


def joined(pieces: list[bytes]) -> bytes | AsyncGenerator[bytes]:
    """What aiohttp sends fastest: small content as it is, large content a few pieces at a time."""

    async def some_at_a_time() -> AsyncGenerator[bytes]:
        for first in range(0, len(pieces), 8):
            yield b"".join(pieces[first : first + 8])

    return b"".join(pieces) if len(pieces) <= 8 else some_at_a_time()


async def bound(ids: list[str]) -> None:
    """The same three requests by aiohttp alone: no queue, no database, no checks."""
    todo = iter(ids)
    connector = aiohttp.TCPConnector(limit=2 * CONCURRENCY)
    progress = os.open(os.environ["BENCH_PROGRESS"], os.O_WRONLY | os.O_CREAT)

    async def work(session: aiohttp.ClientSession) -> None:
        for media_id in todo:
            async with session.get(f"{API}/{media_id}") as answer:
                described = await answer.json()
            digest, pieces = hashlib.sha256(), list[bytes]()
            async with session.get(described["url"]) as answer:
                async for piece in answer.content.iter_any():
                    digest.update(piece)
                    pieces.append(piece)
            size = {"Content-Length": str(sum(map(len, pieces)))}
            place = f"{STORAGE}/storage/v1/object/images/{digest.hexdigest()}"
            async with session.post(place, data=joined(pieces), headers=size) as answer:
                await answer.read()
            os.write(progress, b".")  # one byte a file

    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
    await asyncio.Event().wait()  # there until its CPU time has been read


async def with_pgqueuer() -> None:
    handwritten = await Handwritten.open(CONCURRENCY)
    worker = PgQueuer(AsyncpgDriver(await asyncpg.connect(DATABASE)))

    @worker.entrypoint("fetch")  # its concurrency_limit would be one for all processes
    async def fetch(job: Job) -> None:
        assert job.payload is not None
        await handwritten.fetch(job.payload.decode())

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.shutdown.set)
    await worker.run(
        batch_size=CONCURRENCY // 2,  # the most that it allows
        max_concurrent_tasks=CONCURRENCY,
        dequeue_timeout=timedelta(seconds=1),
    )


def procrastinate_app() -> tuple[App, Any]:
    app = App(
        connector=PsycopgConnector(
            conninfo=DATABASE, min_size=CONCURRENCY, max_size=CONCURRENCY + 4
        )
    )
    handwritten: list[Handwritten] = []

    @app.task(name="fetch")
    async def fetch(media_id: str) -> None:
        if not handwritten:
            handwritten.append(await Handwritten.open(CONCURRENCY))
        await handwritten[0].fetch(media_id)

    return app, fetch


async def with_procrastinate() -> None:
    app, _ = procrastinate_app()
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="successful")


async def unchecked() -> None:
    """pgmedia's poller, with an inspector that believes every file to be what it says."""

    async def believe(self: Inspector, spool: Spool) -> dict[str, Any]:  # noqa: ARG001
        return {"mime_type": "image/jpeg"}

    Inspector.examine = believe
    await poll(
        Settings.from_env("supabase_url", "supabase_service_key", "whatsapp_token"), drain=False
    )


async def no_bytes() -> None:
    """pgmedia's poller with everything but bytes: what many pollers ask of one database."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with polling(DATABASE, f"bench-{os.getpid()}", CONCURRENCY):
        await stop.wait()


async def main(name: str) -> None:
    if name == "bound":
        await bound(json.loads(IDS.read_text()))  # noqa: ASYNC240 - nothing else runs yet
    else:
        await {"pgqueuer": with_pgqueuer, "procrastinate": with_procrastinate,
               "unchecked": unchecked, "no_bytes": no_bytes}[name]()  # fmt: skip


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        (run_fast if sys.argv[1] in ON_UVLOOP else asyncio.run)(main(sys.argv[1]))
