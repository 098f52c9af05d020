"""Programs that fetch the files of a list and upload them: `python -m bench.pipeline.workers NAME`.

Each does so with as many at once as the others. What they need comes in the environment; they end
when they are told to (SIGTERM), or when they are done.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import httpx
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from procrastinate import App, PsycopgConnector
from supabase import AsyncClient, acreate_client

from poller.config import Settings
from poller.content import Spool
from poller.inspector import Inspector
from poller.poll import poll

CONCURRENCY = int(os.environ.get("PGMEDIA_CONCURRENCY", "16"))
API = os.environ.get("WHATSAPP_API_URL", "")
STORAGE = os.environ.get("SUPABASE_URL", "")
HEADERS = {"Authorization": f"Bearer {os.environ.get('WHATSAPP_TOKEN', '')}"}
DATABASE = os.environ.get("DATABASE_URL", "")

FILES = """
create table if not exists files (
    media_id text primary key, content_hash text not null unique, file_size bigint not null,
    path text not null, stored_at timestamptz not null default now())
"""
INSERT = """
insert into files (media_id, content_hash, file_size, path) values ($1, $2, $3, $4)
on conflict do nothing returning path
"""


class Handwritten:
    """Download, hash, insert, upload: with httpx and the supabase client, as their docs show."""

    def __init__(self, http: httpx.AsyncClient, supabase: AsyncClient, pool: Any) -> None:
        self._http = http
        self._supabase = supabase
        self._pool = pool

    @classmethod
    async def open(cls) -> Handwritten:
        limits = httpx.Limits(max_connections=2 * CONCURRENCY)
        pool = await asyncpg.create_pool(DATABASE, min_size=4, max_size=8)
        return cls(
            httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60),
            await acreate_client(STORAGE, os.environ["SUPABASE_SERVICE_KEY"]),
            pool,
        )

    async def fetch(self, media_id: str) -> None:
        described = (await self._http.get(f"{API}/{media_id}")).raise_for_status().json()
        content = (await self._http.get(described["url"])).raise_for_status().content
        content_hash = hashlib.sha256(content).hexdigest()
        path = f"2026/11/{content_hash}.jpg"
        if await self._pool.fetchval(INSERT, media_id, content_hash, len(content), path):
            bucket = self._supabase.storage.from_("images")
            await bucket.upload(path, content, {"content-type": described["mime_type"]})


async def bound(ids: list[str]) -> None:
    """The same three requests by aiohttp alone: no queue, no database, no checks."""
    todo = iter(ids)
    connector = aiohttp.TCPConnector(limit=2 * CONCURRENCY)
    progress = os.open(os.environ["BENCH_PROGRESS"], os.O_WRONLY | os.O_CREAT)

    async def work(session: aiohttp.ClientSession) -> None:
        for media_id in todo:
            async with session.get(f"{API}/{media_id}") as answer:
                described = await answer.json()
            async with session.get(described["url"]) as answer:
                content = await answer.read()
            place = f"{STORAGE}/storage/v1/object/images/{hashlib.sha256(content).hexdigest()}"
            async with session.post(place, data=content) as answer:
                await answer.read()
            os.write(progress, b".")  # one byte a file

    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))


async def with_pgqueuer() -> None:
    handwritten = await Handwritten.open()
    worker = PgQueuer(AsyncpgDriver(await asyncpg.connect(DATABASE)))

    @worker.entrypoint("fetch", concurrency_limit=CONCURRENCY)
    async def fetch(job: Job) -> None:
        assert job.payload is not None
        await handwritten.fetch(job.payload.decode())

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.shutdown.set)
    await worker.run(batch_size=CONCURRENCY, dequeue_timeout=timedelta(seconds=1))


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
            handwritten.append(await Handwritten.open())
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


async def main(name: str) -> None:
    if name == "bound":
        with open(os.environ["BENCH_IDS"]) as file:  # noqa: ASYNC230, PTH123
            await bound(json.load(file))
    else:
        await {"pgqueuer": with_pgqueuer, "procrastinate": with_procrastinate,
               "unchecked": unchecked}[name]()  # fmt: skip


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main(sys.argv[1]))
