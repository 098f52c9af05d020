"""The WhatsApp Cloud API of the sandbox, asked over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from poller.sandbox.whatsapp import WhatsAppApi

PHOTO = bytes(range(256)) * 1000
MEGABYTE = 1_000_000


@pytest.fixture
async def api() -> AsyncIterator[WhatsAppApi]:
    async with WhatsAppApi() as api:
        yield api


@pytest.fixture
async def client(api: WhatsAppApi) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {api.token}", "User-Agent": "a test"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, api: WhatsAppApi, media_id: str, **query: str
) -> httpx.Response:
    return await client.get(f"{api.url}/{media_id}", params=query)


async def url_of(client: httpx.AsyncClient, api: WhatsAppApi, media_id: str) -> str:
    answer = await ask(client, api, media_id)
    return answer.raise_for_status().json()["url"]


@pytest.fixture
async def photo(api: WhatsAppApi) -> str:
    return api.add_media(PHOTO, "image/jpeg")


@pytest.fixture
async def photo_url(client: httpx.AsyncClient, api: WhatsAppApi, photo: str) -> str:
    return await url_of(client, api, photo)


async def read(answer: httpx.Response, into: bytearray, size: int | None = None) -> None:
    """read the body to its end, or until there are `size` bytes of it."""
    async for piece in answer.aiter_bytes():
        into += piece
        if len(into) == size:
            return


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert list(answer.json()) == ["error"]
    return answer.json()["error"]
