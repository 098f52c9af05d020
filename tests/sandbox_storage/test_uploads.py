"""The Supabase Storage of the sandbox, asked over HTTP: what an upload leaves there."""

import asyncio
import base64
import json
from pathlib import Path

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage.conftest import (
    files_in,
    info_of,
    put,
    remove,
    send_form,
)


async def test_a_raw_upload(api: StorageApi, client: httpx.AsyncClient, tmp_path: Path):
    metadata = base64.b64encode(json.dumps({"of": "a test"}).encode()).decode()
    headers = {"Content-Type": "image/png", "Cache-Control": "max-age=60", "x-metadata": metadata}
    answer = await client.post("object/media/2025/01/a.png", content=b"hello", headers=headers)

    info = await info_of(client, "2025/01/a.png")

    assert answer.status_code == 200
    assert answer.json() == {"Id": info["id"], "Key": "media/2025/01/a.png"}
    assert (tmp_path / "media/2025/01/a.png").read_bytes() == b"hello"
    assert api.uploads == {"media/2025/01/a.png": 1}
    assert info["content_type"] == "image/png"
    assert info["cache_control"] == "max-age=60"
    assert info["metadata"] == {"of": "a test"}


async def test_a_multipart_upload(client: httpx.AsyncClient, tmp_path: Path):
    fields = {"cacheControl": "60", "metadata": '{"of": "a test"}'}
    answer = await send_form(client, "a.png", b"hello", "image/png", **fields)

    info = await info_of(client, "a.png")

    assert answer.json() == {"Id": info["id"], "Key": "media/a.png"}
    assert (tmp_path / "media/a.png").read_bytes() == b"hello"
    assert info["content_type"] == "image/png"
    assert info["cache_control"] == "max-age=60"
    assert info["metadata"] == {"of": "a test"}


async def test_what_an_upload_leaves_out(client: httpx.AsyncClient):
    await client.post("object/media/raw", content=b"hello", headers={"x-metadata": "nonsense"})
    await send_form(client, "form", b"hello", metadata="nonsense")

    raw, form = await info_of(client, "raw"), await info_of(client, "form")

    assert raw["content_type"] == "application/octet-stream"
    assert raw["cache_control"] == form["cache_control"] == "no-cache"
    assert raw["metadata"] == form["metadata"] == {}


async def test_an_empty_object(client: httpx.AsyncClient):
    await put(client, "empty", b"")
    assert (await client.get("object/public/media/empty")).content == b""
    assert (await info_of(client, "empty"))["size"] == 0


@pytest.mark.parametrize("name", ["!.*'() &$=@;:+,?-_", "a//b", "/a", "a/", "a/../b", "."])
async def test_odd_names_that_are_allowed(client: httpx.AsyncClient, tmp_path: Path, name: str):
    path = "media/" + name.replace("?", "%3F")
    status = await ask_as_it_is(client, f"POST /storage/v1/object/{path.replace(' ', '%20')}")

    assert status == 200
    assert files_in(tmp_path) == {"media", ".metadata"}
    removed = await remove(client, name)
    assert [row["name"] for row in removed] == [name]


async def ask_as_it_is(client: httpx.AsyncClient, request: str) -> int:
    """Send a path that a client would tidy up, with the body "hello"; returns the status."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(
        f"{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 5\r\n"
        f"Authorization: {client.headers['Authorization']}\r\n\r\nhello".encode()
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


async def test_a_name_may_be_the_folder_of_another(client: httpx.AsyncClient):
    for name in ("a", "a/b", "a/b/c", "d/e", "d"):
        await put(client, name, name.encode())

    for name in ("a", "a/b", "a/b/c", "d/e", "d"):
        assert (await client.get(f"object/media/{name}")).text == name
    assert len(await remove(client, "a", "a/b", "a/b/c", "d/e", "d")) == 5


async def test_a_name_longer_than_a_file_can_have(client: httpx.AsyncClient):
    name = "a" * 1000
    await put(client, name)
    assert (await client.get(f"object/media/{name}")).text == "hello"
