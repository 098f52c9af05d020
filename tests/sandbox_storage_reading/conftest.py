"""The Supabase Storage of the sandbox with objects to read, and short words to ask for them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.storage import StorageApi

PHOTO = bytes(range(256)) * 1000


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(tmp_path) as api:
        yield api


@pytest.fixture
async def client(api: StorageApi) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, of the buckets "open" and "closed" with a photo each."""
    async with httpx.AsyncClient(base_url=f"{api.url}/storage/v1/", trust_env=False) as client:
        for bucket, public in (("open", True), ("closed", False)):
            body = {"name": bucket, "public": public}
            await client.post("bucket", json=body, headers=key_of(api))
            await put(client, api, f"{bucket}/a photo.jpg", PHOTO)
        yield client


def key_of(api: StorageApi) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.service_key}"}


async def put(
    client: httpx.AsyncClient,
    api: StorageApi,
    path: str,
    content: bytes = b"hello",
    content_type: str = "image/jpeg",
) -> None:
    headers = {
        **key_of(api),
        "Content-Type": content_type,
        "Cache-Control": "max-age=3600",
    }
    answer = await client.put(f"object/{path}", content=content, headers=headers)
    answer.raise_for_status()


async def list_names(
    client: httpx.AsyncClient, api: StorageApi, prefix: str = "", **options: Any
) -> list[str]:
    """The names in a listing of "open", those of folders with a slash at the end."""
    body = {"prefix": prefix, **options}
    answer = await client.post("object/list/open", json=body, headers=key_of(api))
    entries = answer.raise_for_status().json()
    return [entry["name"] + ("" if entry["id"] else "/") for entry in entries]
