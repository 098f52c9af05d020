"""The Supabase Storage of the sandbox, asked over HTTP: reading objects, also in parts."""

import hashlib
from email.utils import parsedate_to_datetime

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from tests.sandbox_storage_reading.conftest import (
    PHOTO,
    put,
)


async def test_a_public_object(client: httpx.AsyncClient):
    answer = await client.get("object/public/open/a photo.jpg")

    assert answer.status_code == 200
    assert answer.content == PHOTO
    etag = f'"{hashlib.md5(PHOTO, usedforsecurity=False).hexdigest()}"'
    headers = {
        "Content-Type": "image/jpeg",
        "Content-Length": str(len(PHOTO)),
        "Cache-Control": "max-age=3600",
        "ETag": etag,
        "Accept-Ranges": "bytes",
    }
    assert {name: answer.headers[name] for name in headers} == headers
    assert parsedate_to_datetime(answer.headers["Last-Modified"])
    assert "Content-Disposition" not in answer.headers


async def test_the_headers_of_a_public_object(client: httpx.AsyncClient):
    head = await client.head("object/public/open/a photo.jpg")
    get = await client.get("object/public/open/a photo.jpg")

    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert (await client.head("object/public/open/none.jpg")).status_code == 400
    assert (await client.head("object/public/closed/a photo.jpg")).status_code == 400


@pytest.mark.parametrize("name", ["Range", "If-None-Match"])
async def test_headers_are_always_those_of_the_whole(client: httpx.AsyncClient, name: str):
    path = "object/public/open/a photo.jpg"
    values = {"Range": "bytes=0-9", "If-None-Match": (await client.head(path)).headers["ETag"]}

    head = await client.head(path, headers={name: values[name]})

    assert head.status_code == 200
    assert head.headers["Content-Length"] == str(len(PHOTO))


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, len(PHOTO)),
        ("bytes=-5", len(PHOTO) - 5, len(PHOTO)),
        ("bytes=-9999999", 0, len(PHOTO)),
        ("bytes=5-9999999", 5, len(PHOTO)),
    ],
)
async def test_a_part_of_an_object(client: httpx.AsyncClient, asked: str, start: int, end: int):
    answer = await client.get("object/public/open/a photo.jpg", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == PHOTO[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(PHOTO)}"


async def test_an_object_that_did_not_change_is_not_sent_again(
    client: httpx.AsyncClient, api: StorageApi
):
    etag = (await client.head("object/public/open/a photo.jpg")).headers["ETag"]
    headers = {"If-None-Match": etag}
    same = await client.get("object/public/open/a photo.jpg", headers=headers)
    await put(client, api, "open/a photo.jpg", b"new")
    changed = await client.get("object/public/open/a photo.jpg", headers=headers)

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["ETag"] == etag
    assert (changed.status_code, changed.content) == (200, b"new")


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("für.jpg", "f%C3%BCr.jpg"),
        ("a b+c.jpg", "a%20b%2Bc.jpg"),
        ("it's (1)!*~.jpg", "it's%20(1)!*~.jpg"),  # as encodeURIComponent leaves them
        ('"\r\n;/', "%22%0D%0A%3B%2F"),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
async def test_a_download_gets_a_name(
    client: httpx.AsyncClient, api: StorageApi, name: str, quoted: str, signed: bool
):
    path = "object/public/open/a photo.jpg"
    if signed:
        path = api.sign_path("closed", "a photo.jpg", 60).lstrip("/")
    url = httpx.URL(path)
    plain = await client.get(url.copy_merge_params({"download": ""}))
    named = await client.get(url.copy_merge_params({"download": name}))
    none = await client.get(url)

    assert plain.headers["Content-Disposition"] == "attachment;"
    disposition = f"attachment; filename={quoted}; filename*=UTF-8''{quoted}"
    assert named.headers["Content-Disposition"] == disposition
    assert named.content == PHOTO
    assert "Content-Disposition" not in none.headers


async def test_html_is_served_as_text(client: httpx.AsyncClient, api: StorageApi):
    await put(client, api, "open/page.html", b"<p>", "text/html")
    answer = await client.get("object/public/open/page.html")
    assert answer.headers["Content-Type"] == "text/plain"


async def test_an_object_that_is_replaced_while_it_is_read(
    client: httpx.AsyncClient, api: StorageApi
):
    fault = Fault.stall(after=100)
    api.faults.once("public", fault)
    async with client.stream("GET", "object/public/open/a photo.jpg") as answer:
        pieces = answer.aiter_bytes()
        read = await anext(pieces)
        await put(client, api, "open/a photo.jpg", b"new")
        fault.released.set()
        async for piece in pieces:
            read += piece
    assert read == PHOTO


async def test_a_download_can_be_slow_or_break_off(client: httpx.AsyncClient, api: StorageApi):
    api.faults.once("public", Fault.slow(100 * len(PHOTO)))
    assert (await client.get("object/public/open/a photo.jpg")).content == PHOTO
    api.faults.once("public", Fault.disconnect(after=100))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("object/public/open/a photo.jpg")
