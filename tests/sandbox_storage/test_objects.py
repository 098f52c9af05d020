"""The Supabase Storage of the sandbox, asked over HTTP: replacing and removing objects."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage.conftest import (
    code_of,
    files_in,
    incoming,
    info_of,
    put,
    remove,
)


@pytest.mark.parametrize(
    ("upsert", "code"),
    [
        ("true", ""),
        ("True", "KeyAlreadyExists"),
        ("1", "KeyAlreadyExists"),
        ("false", "KeyAlreadyExists"),
    ],
)
async def test_only_a_lowercase_true_replaces(client: httpx.AsyncClient, upsert: str, code: str):
    await put(client, "a")
    answer = await client.post("object/media/a", content=b"new", headers={"x-upsert": upsert})
    assert code_of(answer) == code


async def test_a_replaced_object_keeps_its_id(
    api: StorageApi, client: httpx.AsyncClient, tmp_path: Path
):
    metadata = base64.b64encode(b'{"of": "a test"}').decode()
    await put(client, "a", b"hello", x_metadata=metadata)
    before = await info_of(client, "a")
    await put(client, "a", b"new")
    after = await info_of(client, "a")

    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
    assert after["version"] != before["version"]
    assert after["etag"] != before["etag"]
    assert after["metadata"] == {}
    assert (tmp_path / "media/a").read_bytes() == b"new"
    assert api.uploads == {"media/a": 2}


async def test_uploads_at_the_same_time_all_succeed_and_the_last_one_wins(
    api: StorageApi, client: httpx.AsyncClient
):
    ends = [asyncio.Event() for _ in range(6)]

    async def body(number: int) -> AsyncIterator[bytes]:
        yield b"number "
        await ends[number].wait()
        yield str(number).encode()

    tasks = [
        asyncio.create_task(client.post("object/media/a", content=body(number)))
        for number in range(6)
    ]
    await api.receiving.wait_for("media/a", 6)
    statuses: list[int] = []
    for number in (3, 0, 5, 1, 4, 2):
        ends[number].set()
        statuses.append((await tasks[number]).status_code)

    assert statuses == [200] * 6
    assert (await client.get("object/media/a")).text == "number 2"


async def test_an_upload_that_breaks_off_leaves_nothing(
    api: StorageApi, client: httpx.AsyncClient, tmp_path: Path
):
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(
        b"POST /storage/v1/object/media/a HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n"
        b"Authorization: " + client.headers["Authorization"].encode() + b"\r\n\r\nhello"
    )
    await api.receiving.wait_for("media/a", 1)
    writer.close()
    await writer.wait_closed()
    await api.receiving.wait_for("media/a", 0)

    assert incoming(tmp_path) == set()
    assert code_of(await client.get("object/media/a")) == "NoSuchKey"
    assert files_in(tmp_path / "media") == set()
    assert api.uploads == {}


async def test_remove_returns_what_was_there(
    api: StorageApi, client: httpx.AsyncClient, tmp_path: Path
):
    await put(client, "a/b/c.txt")
    await put(client, "a/d.txt")
    info = await info_of(client, "a/b/c.txt")

    removed = await remove(client, "a/b/c.txt", "none.txt", "a/b/c.txt")

    assert len(removed) == 1
    assert removed[0]["id"] == info["id"]
    assert removed[0]["name"] == "a/b/c.txt"
    assert removed[0]["bucket_id"] == "media"
    assert removed[0]["version"] == info["version"]
    assert removed[0]["metadata"]["size"] == 5
    assert not (tmp_path / "media/a/b").exists()
    assert (tmp_path / "media/a/d.txt").exists()
    assert api.removed == {"media/a/b/c.txt": 1}
    assert code_of(await client.get("object/media/a/b/c.txt")) == "NoSuchKey"


async def test_a_removal_is_not_a_prefix_and_needs_no_bucket(client: httpx.AsyncClient):
    await put(client, "a/b.txt")
    assert await remove(client, "a", "a/", "") == []
    answer = await client.request("DELETE", "object/none", json={"prefixes": ["a"]})
    assert answer.json() == []


async def test_a_thousand_names_can_be_removed_at_once(client: httpx.AsyncClient):
    await put(client, "999")
    assert len(await remove(client, *map(str, range(1000)))) == 1
