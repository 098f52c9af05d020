"""The Supabase Storage of the sandbox with the bucket "media", and short words to ask it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.storage import StorageApi

LIMIT = 2000
MEGABYTE = 1_000_000


def connect(api: StorageApi) -> httpx.AsyncClient:
    """A client with the service key."""
    return httpx.AsyncClient(
        base_url=f"{api.url}/storage/v1/",
        headers={"Authorization": f"Bearer {api.service_key}"},
        trust_env=False,
    )


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(tmp_path, file_size_limit=LIMIT) as api:
        yield api


@pytest.fixture
async def client(api: StorageApi) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the service key, of the public bucket "media"."""
    async with connect(api) as client:
        await client.post("bucket", json={"name": "media", "public": True})
        yield client


async def put(client: httpx.AsyncClient, name: str, content: bytes = b"hello", **headers: str):
    """Store an object in "media" with a raw body; returns the json of the answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await client.put(f"object/media/{name}", content=content, headers=headers)
    return answer.raise_for_status().json()


async def send_form(
    client: httpx.AsyncClient,
    name: str,
    content: bytes,
    content_type: str = "text/plain",
    **fields: str,
) -> httpx.Response:
    """Upload an object to "media" with a multipart body."""
    files = {"file": ("a file", content, content_type)}
    return await client.post(f"object/media/{name}", files=files, data=fields)


async def info_of(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    return (await client.get(f"object/info/media/{name}")).raise_for_status().json()


async def remove(client: httpx.AsyncClient, *names: str) -> list[dict[str, Any]]:
    answer = await client.request("DELETE", "object/media", json={"prefixes": list(names)})
    return answer.raise_for_status().json()


def code_of(answer: httpx.Response) -> str:
    """The code of an error, or "" for an answer without one."""
    return "" if answer.status_code == 200 else answer.json()["code"]


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    """A body that is sent without a Content-Length."""
    yield content


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def incoming(folder: Path) -> set[str]:
    """The files of bodies that are on their way in."""
    return files_in(folder / ".metadata" / "incoming")
