"""What one would write by hand on a queue: download, hash, insert, upload.

With httpx and the supabase client, as their documentation shows.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import asyncpg
import httpx
from supabase import AsyncClient, acreate_client

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
    """Says in a file of progress when one is done: a byte each."""

    def __init__(self, http: httpx.AsyncClient, supabase: AsyncClient, pool: Any) -> None:
        self._http = http
        self._supabase = supabase
        self._pool = pool
        self._api = os.environ["WHATSAPP_API_URL"]
        self._progress = os.open(os.environ["BENCH_PROGRESS"], os.O_WRONLY | os.O_CREAT)

    @classmethod
    async def open(cls, concurrency: int) -> Handwritten:
        limits = httpx.Limits(max_connections=2 * concurrency)
        token = {"Authorization": f"Bearer {os.environ['WHATSAPP_TOKEN']}"}
        pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=8)
        supabase = os.environ["SUPABASE_URL"], os.environ["SUPABASE_SERVICE_KEY"]
        return cls(
            httpx.AsyncClient(headers=token, limits=limits, timeout=60),
            await acreate_client(*supabase),
            pool,
        )

    async def fetch(self, media_id: str) -> None:
        described = (await self._http.get(f"{self._api}/{media_id}")).raise_for_status().json()
        content = (await self._http.get(described["url"])).raise_for_status().content
        content_hash = hashlib.sha256(content).hexdigest()
        path = f"2026/11/{content_hash}.jpg"
        if await self._pool.fetchval(INSERT, media_id, content_hash, len(content), path):
            bucket = self._supabase.storage.from_("images")
            await bucket.upload(path, content, {"content-type": described["mime_type"]})
        os.write(self._progress, b".")
