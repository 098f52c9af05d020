"""The Supabase Storage of the sandbox with two buckets, and how to read its refusals."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.storage import StorageApi

DUPLICATE = ("409", "Duplicate", "The resource already exists")
TOO_LARGE = (
    "413",
    "Payload too large",
    "The object exceeded the maximum allowed size",
    "EntityTooLarge",
)
NO_OBJECT = ("404", "not_found", "Object not found", "NoSuchKey")
NO_BUCKET = ("404", "Bucket not found", "Bucket not found", "NoSuchBucket")
DENIED = "new row violates row-level security policy"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(tmp_path, file_size_limit=1000) as api:
        yield api


@pytest.fixture
async def client(api: StorageApi) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the service key, of the buckets "open" and "closed" with an object each."""
    async with httpx.AsyncClient(
        base_url=f"{api.url}/storage/v1/",
        headers={"Authorization": f"Bearer {api.service_key}"},
        trust_env=False,
    ) as client:
        for bucket, public in (("open", True), ("closed", False)):
            await client.post("bucket", json={"name": bucket, "public": public})
            answer = await client.post(f"object/{bucket}/a.txt", content=b"hello")
            assert answer.status_code == 200
        yield client


def refusal(answer: httpx.Response, status: int = 400) -> tuple[Any, ...]:
    """The body of an error, which has exactly these fields, all of them text."""
    assert answer.status_code == status
    body = answer.json()
    assert list(body) == ["statusCode", "error", "message", "code"]
    assert all(isinstance(value, str) for value in body.values())
    return tuple(body.values())


def with_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def denied(message: str) -> tuple[str, ...]:
    return ("403", "Unauthorized", message, "AccessDenied")


def invalid(message: str) -> tuple[str, ...]:
    return ("400", "Error", message, "InvalidRequest")
