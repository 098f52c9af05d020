"""The Supabase Storage of the sandbox: its folder, starts and stops, and what it counts."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import stalled
from tests.sandbox_storage.conftest import (
    connect,
    files_in,
    incoming,
    info_of,
    put,
    remove,
)


async def test_another_server_on_the_folder_goes_on(tmp_path: Path):
    async with StorageApi(tmp_path) as api, connect(api) as client:
        await client.post("bucket", json={"name": "media", "file_size_limit": 10})
        await put(client, "a.txt", Content_Type="text/plain")
        before = await info_of(client, "a.txt")
        signed = api.sign_path("media", "a.txt", 60).lstrip("/")

    async with StorageApi(tmp_path) as other, connect(other) as client:
        client.headers["Authorization"] = f"Bearer {api.service_key}"
        assert (await client.get("object/media/a.txt")).text == "hello"
        assert (await client.get(signed)).text == "hello"
        assert await info_of(client, "a.txt") == before
        assert (await client.get("bucket/media")).json()["file_size_limit"] == 10


async def test_the_same_server_can_start_again(tmp_path: Path):
    api = StorageApi(tmp_path)
    await api.start()
    async with connect(api) as client:
        await client.post("bucket", json={"name": "media"})
        await put(client, "a.txt")
    port = httpx.URL(api.url).port
    await api.stop()
    await api.start(port or 0)
    async with connect(api) as client:
        assert httpx.URL(api.url).port == port
        assert (await client.get("object/media/a.txt")).text == "hello"
    await api.stop()
    await api.stop()


async def test_bodies_a_killed_server_left_are_swept(tmp_path: Path):
    left = tmp_path / ".metadata" / "incoming" / "half"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    async with StorageApi(tmp_path):
        assert incoming(tmp_path) == set()


@pytest.mark.parametrize("fault", [Fault.stall(), Fault.stall(after=2), stalled()])
async def test_a_stop_does_not_wait_for_stalled_requests(tmp_path: Path, fault: Fault):
    api = StorageApi(tmp_path)
    await api.start()
    api.faults.once("bucket", fault)
    async with connect(api) as client:
        asking = asyncio.create_task(client.get("bucket"))
        await fault.reached.wait()
        begin = time.monotonic()
        await api.stop()
        with pytest.raises(httpx.HTTPError):
            await asking
    assert time.monotonic() - begin < 2


async def test_a_stop_in_the_middle_of_an_upload_leaves_nothing(tmp_path: Path):
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"hello"
        await never.wait()

    async with StorageApi(tmp_path) as api, connect(api) as client:
        await client.post("bucket", json={"name": "media"})
        uploading = asyncio.create_task(client.put("object/media/a", content=body()))
        await api.receiving.wait_for("media/a", 1)
        await api.stop()
        uploading.cancel()
        with pytest.raises((asyncio.CancelledError, httpx.HTTPError)):
            await uploading

    assert incoming(tmp_path) == set()
    assert files_in(tmp_path / "media") == set()


async def test_requests_are_counted_by_route(api: StorageApi, client: httpx.AsyncClient):
    api.requests.clear()
    await put(client, "a")
    await client.get("object/media/a")
    await client.head("object/media/a")
    await client.get("object/public/media/a")
    await info_of(client, "a")
    await client.post("object/sign/media/a", json={"expiresIn": 60})
    await client.get(api.sign_path("media", "a", 60).lstrip("/"))
    await client.post("object/list/media", json={"prefix": ""})
    await remove(client, "a")
    await client.get("bucket")

    assert api.requests == {
        "upload": 1,
        "object": 2,
        "public": 1,
        "info": 1,
        "sign": 1,
        "signed": 1,
        "list": 1,
        "remove": 1,
        "bucket": 1,
    }


async def test_a_path_without_a_route(api: StorageApi, client: httpx.AsyncClient):
    assert (await client.get("nothing")).status_code == 404
    assert (await client.get(f"{api.url}/object/public/media/a")).status_code == 404
