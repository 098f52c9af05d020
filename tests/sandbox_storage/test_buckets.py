"""The Supabase Storage of the sandbox, asked over HTTP: buckets and their settings."""

import asyncio
from pathlib import Path

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage.conftest import (
    code_of,
    connect,
    put,
)


async def test_a_bucket_begins_private_and_without_limits(client: httpx.AsyncClient):
    created = await client.post("bucket", json={"name": "plain"})
    bucket = (await client.get("bucket/plain")).json()

    assert created.json() == {"name": "plain"}
    times = (bucket.pop("created_at"), bucket.pop("updated_at"))
    assert all(time.endswith("Z") for time in times)
    assert bucket == {
        "id": "plain",
        "name": "plain",
        "owner": "",
        "public": False,
        "type": "STANDARD",
        "file_size_limit": None,
        "allowed_mime_types": None,
    }


async def test_buckets_are_listed_in_the_order_they_were_made(client: httpx.AsyncClient):
    await client.post("bucket", json={"id": "first", "name": "another"})
    await client.put("bucket/media", json={"public": False})

    buckets = (await client.get("bucket")).json()

    assert [(bucket["id"], bucket["name"]) for bucket in buckets] == [
        ("media", "media"),
        ("first", "another"),
    ]


async def test_one_of_many_creations_of_a_bucket_wins(client: httpx.AsyncClient):
    body = {"name": "new"}
    answers = await asyncio.gather(*(client.post("bucket", json=body) for _ in range(6)))
    assert sorted(map(code_of, answers)) == ["", *["BucketAlreadyExists"] * 5]


async def test_a_partial_update_keeps_the_other_settings(client: httpx.AsyncClient):
    settings = {"file_size_limit": 1000, "allowed_mime_types": ["image/png", "audio/*"]}
    await client.put("bucket/media", json=settings)
    answer = await client.put("bucket/media", json={"public": False})

    bucket = (await client.get("bucket/media")).json()

    assert answer.json() == {"message": "Successfully updated"}
    assert bucket["public"] is False
    assert {name: bucket[name] for name in settings} == settings


async def test_null_clears_a_limit(client: httpx.AsyncClient):
    await client.put("bucket/media", json={"file_size_limit": 1, "allowed_mime_types": ["a/b"]})
    nothing = {"file_size_limit": None, "allowed_mime_types": None}
    await client.put("bucket/media", json=nothing)

    bucket = (await client.get("bucket/media")).json()

    assert {name: bucket[name] for name in nothing} == nothing


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50MB", 50_000_000),
        ("0.5mb", 500_000),
        ("20kB", 20_000),
        ("7B", 7),
        ("1GB", 10**9),
        ("1234KB", 1_230_000),
    ],
)
async def test_sizes_have_decimal_units_and_three_digits(tmp_path: Path, text: str, size: int):
    async with StorageApi(tmp_path, file_size_limit=10**9) as api, connect(api) as client:
        await client.post("bucket", json={"name": "media", "file_size_limit": text})
        assert (await client.get("bucket/media")).json()["file_size_limit"] == size


@pytest.mark.parametrize(
    ("mime_type", "code"),
    [
        ("image/png", ""),
        ("image/*", ""),
        ("*", ""),
        ("text/plain; charset=utf-8", ""),
        ("application/vnd.ms-excel", ""),
        ("audio/ogg; codecs=opus", "InvalidMimeType"),
        ("image", "InvalidMimeType"),
        ("image/" + "a" * 1000, "InvalidMimeType"),
    ],
)
async def test_mime_types_a_bucket_can_allow(client: httpx.AsyncClient, mime_type: str, code: str):
    answer = await client.put("bucket/media", json={"allowed_mime_types": [mime_type]})
    assert code_of(answer) == code


async def test_a_bucket_is_deleted_once_it_is_empty(
    api: StorageApi, client: httpx.AsyncClient, tmp_path: Path
):
    await put(client, "a.txt")
    await put(client, "b/c.txt")
    assert code_of(await client.delete("bucket/media")) == "ResourceNotEmpty"

    emptied = await client.post("bucket/media/empty", json={})
    deleted = await client.request("DELETE", "bucket/media", json={})

    assert "queued" in emptied.json()["message"]
    assert deleted.json() == {"message": "Successfully deleted"}
    assert code_of(await client.get("bucket/media")) == "NoSuchBucket"
    assert not (tmp_path / "media").exists()
    assert api.removed == {"media/a.txt": 1, "media/b/c.txt": 1}
