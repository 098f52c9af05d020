"""The client of Supabase Storage, patient and impatient, and a bucket to work on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from poller.http import ProviderError, open_session
from poller.records import Failure
from poller.sandbox.storage import StorageApi
from poller.storage import Storage

TIMEOUT = 5.0
PATH = "2026/11/file.png"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session({"127.0.0.1"}, TIMEOUT, 4) as session:
        yield session


@pytest.fixture
async def bucket(storage: StorageApi, http: aiohttp.ClientSession) -> str:
    """A bucket for PNG files of at most 100 kB."""
    options = {"id": "media", "name": "media", "public": False, "file_size_limit": 100_000,
               "allowed_mime_types": ["image/png"]}  # fmt: skip
    made = await http.post(
        f"{storage.url}/storage/v1/bucket", json=options, headers=authorized(storage)
    )
    assert made.ok
    return "media"


@pytest.fixture
def api(http: aiohttp.ClientSession, storage: StorageApi, bucket: str) -> Storage:
    del bucket
    return Storage(http, storage.url, SecretStr(storage.service_key), TIMEOUT)


@pytest.fixture
async def impatient(storage: StorageApi) -> AsyncIterator[Storage]:
    """A client that bears 0.2 seconds of silence."""
    async with open_session({"127.0.0.1"}, 0.2, 4) as session:
        yield Storage(session, storage.url, SecretStr(storage.service_key), 0.2)


def authorized(storage: StorageApi) -> dict[str, str]:
    return {"Authorization": f"Bearer {storage.service_key}", "apikey": storage.service_key}


async def upload(api: Storage, content: bytes = PNG, path: str = PATH, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "size": len(content),
        "content_type": "image/png",
        "cache_control": "60",
    }
    await api.upload(changes.pop("bucket", "media"), path, content, **(arguments | changes))


async def failure_of(awaitable: Any) -> Failure:
    with pytest.raises(ProviderError) as caught:
        await awaitable
    assert caught.value.failure.source == "storage"
    return caught.value.failure
