"""`pgmedia url` as a process of its own, and files to hand out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import jwt
import pytest

from poller.sandbox.storage import StorageApi
from tests.helpers import claim, pgmedia, queue_media, sha256

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]
StoreFile = Callable[..., Awaitable[UUID]]
PDF = b"%PDF-1.7 a contract"
PHOTO = b"a photo"
NAME = "Vertrag für Zoë & 50 % (2) a+b#c;d=e.pdf"


@pytest.fixture
def store_file(db: Any, buckets: None, storage: StorageApi) -> StoreFile:
    """An attachment that is stored, its file with it; returns the media id."""
    del buckets

    async def store_one(
        content: bytes, mime_type: str, media_type: str, file_name: str | None = None
    ) -> UUID:
        media = await queue_media(db, media_type=media_type, file_name=file_name)
        token = (await claim(db))[media]
        begun = await db.fetchrow(
            "select * from begin_media_upload($1, 'poller-1', $2, $3, $4, $5)",
            media, token, sha256(content), len(content), mime_type,
        )  # fmt: skip
        async with httpx.AsyncClient(base_url=storage.url) as client:
            answer = await client.post(
                f"/storage/v1/object/{begun['bucket_name']}/{begun['storage_path']}",
                content=content,
                headers={
                    "Authorization": f"Bearer {storage.service_key}", "Content-Type": mime_type,
                },
            )  # fmt: skip
        answer.raise_for_status()
        await db.execute(
            "select finish_media_upload($1, 'poller-1', $2, $3)", media, token, begun["object_id"]
        )
        return media

    return store_one


@pytest.fixture
def run(environment: dict[str, str], database: str, tmp_path: Path) -> Run:
    """Run `pgmedia url`, which never prints the key; its exit code and lines."""

    async def run_url(*arguments: object, **changes: str) -> tuple[int, list[str], list[str]]:
        settings: dict[str, Any] = environment | {"DATABASE_URL": database} | changes
        done = await asyncio.to_thread(
            pgmedia, "url", *map(str, arguments), cwd=tmp_path, **settings
        )
        for text in (done.stdout, done.stderr):
            assert settings["SUPABASE_SERVICE_KEY"] not in text
            assert "Traceback" not in text
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_url


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


def token_in(url: str) -> dict[str, Any]:
    (token,) = parse_qs(urlsplit(url).query)["token"]
    return jwt.decode(token, options={"verify_signature": False})
