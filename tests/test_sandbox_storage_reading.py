"""The Supabase Storage of the sandbox, asked over HTTP: reading, signed URLs and listings."""

import hashlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
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


# Public objects


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


# Objects for those with a key


@pytest.mark.parametrize("route", ["object", "object/authenticated"])
async def test_a_private_object_with_a_key(client: httpx.AsyncClient, api: StorageApi, route: str):
    path = f"{route}/closed/a photo.jpg"
    get = await client.get(path, headers=key_of(api))
    head = await client.head(path, headers=key_of(api))

    assert get.content == PHOTO
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]
    missing = await client.head(f"{route}/closed/none.jpg", headers=key_of(api))
    assert missing.status_code == 400


async def test_a_public_object_needs_no_key(client: httpx.AsyncClient):
    assert (await client.get("object/open/a photo.jpg")).content == PHOTO
    headers = {"Authorization": "Bearer nonsense"}
    assert (await client.get("object/open/a photo.jpg", headers=headers)).content == PHOTO


async def test_the_info_of_an_object(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.get("object/info/closed/a photo.jpg", headers=key_of(api))

    info = answer.json()

    for unpredictable in ("id", "version", "last_modified", "created_at"):
        assert info.pop(unpredictable)
    assert info == {
        "name": "a photo.jpg",
        "bucket_id": "closed",
        "size": len(PHOTO),
        "content_type": "image/jpeg",
        "cache_control": "max-age=3600",
        "etag": f'"{hashlib.md5(PHOTO, usedforsecurity=False).hexdigest()}"',
        "metadata": {},
    }


# Signed urls


async def test_a_signed_url_opens_a_private_object(client: httpx.AsyncClient, api: StorageApi):
    path = "object/sign/closed/a photo.jpg"
    made = await client.post(path, json={"expiresIn": 60}, headers=key_of(api))
    signed = made.json()["signedURL"]

    answer = await client.get(signed.lstrip("/"))
    download = await client.get(signed.lstrip("/") + "&download=b.jpg")

    assert signed.startswith("/object/sign/closed/a photo.jpg?token=")
    assert answer.content == PHOTO
    assert parsedate_to_datetime(answer.headers["Expires"])
    assert "Cache-Control" not in answer.headers
    assert "filename=b.jpg" in download.headers["Content-Disposition"]


async def test_signing_many_says_which_are_missing(client: httpx.AsyncClient, api: StorageApi):
    body = {"expiresIn": "60", "paths": ["a photo.jpg", "none.jpg"]}
    made = await client.post("object/sign/closed", json=body, headers=key_of(api))

    signed, missing = made.json()

    assert (signed["error"], signed["path"]) == (None, "a photo.jpg")
    assert (await client.get(signed["signedURL"].lstrip("/"))).content == PHOTO
    assert missing == {
        "error": "Either the object does not exist or you do not have access to it",
        "path": "none.jpg",
        "signedURL": None,
    }


async def test_a_signed_url_of_an_object_that_was_removed(
    client: httpx.AsyncClient, api: StorageApi
):
    names = {"prefixes": ["a photo.jpg"]}
    await client.request("DELETE", "object/closed", json=names, headers=key_of(api))
    answer = await client.get(api.sign_path("closed", "a photo.jpg", 60).lstrip("/"))
    assert answer.json()["code"] == "NoSuchKey"


# Listings


@pytest.fixture
async def folders(client: httpx.AsyncClient, api: StorageApi) -> None:
    for name in ("2025/02/c.jpg", "2025/01/b.jpg", "2025/01/A.jpg", "2025.txt", "2024/x.jpg"):
        await put(client, api, f"open/{name}")


@pytest.mark.usefixtures("folders")
async def test_a_listing_shows_one_level(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api) == ["2024/", "2025.txt", "2025/", "a photo.jpg"]
    assert await list_names(client, api, "2025") == ["01/", "02/"]
    assert await list_names(client, api, "2025/") == ["01/", "02/"]
    assert await list_names(client, api, "2025/01") == ["A.jpg", "b.jpg"]
    assert await list_names(client, api, "none") == []


@pytest.mark.usefixtures("folders")
async def test_a_listing_can_be_searched(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api, search="2025") == ["2025.txt", "2025/"]
    assert await list_names(client, api, "2025/01", search="a") == ["A.jpg"]


@pytest.mark.usefixtures("folders")
async def test_a_listing_comes_in_pages(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api, limit=2) == ["2024/", "2025.txt"]
    assert await list_names(client, api, limit=2, offset=2) == ["2025/", "a photo.jpg"]
    assert await list_names(client, api, offset=4) == []


@pytest.mark.usefixtures("folders")
async def test_the_order_of_a_listing(client: httpx.AsyncClient, api: StorageApi):
    by_name = {"column": "name", "order": "desc"}
    names = ["a photo.jpg", "2025/", "2025.txt", "2024/"]
    assert await list_names(client, api, sortBy=by_name) == names
    by_time = {"column": "updated_at", "order": "desc"}
    names = ["2025/", "2024/", "2025.txt", "a photo.jpg"]
    assert await list_names(client, api, sortBy=by_time) == names
    by_time = {"column": "created_at"}
    names = ["2024/", "2025/", "a photo.jpg", "2025.txt"]
    assert await list_names(client, api, sortBy=by_time) == names


@pytest.mark.usefixtures("folders")
async def test_the_entries_of_a_listing(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.post("object/list/open", json={"prefix": ""}, headers=key_of(api))

    folder, *_, photo = answer.json()

    times = ("updated_at", "created_at", "last_accessed_at")
    nothing = dict.fromkeys(("id", *times, "metadata"))
    assert folder == {"name": "2024", **nothing}
    assert all(photo[time] for time in times)
    assert photo["metadata"]["size"] == photo["metadata"]["contentLength"] == len(PHOTO)
    assert photo["metadata"]["mimetype"] == "image/jpeg"
    assert photo["metadata"]["cacheControl"] == "max-age=3600"


async def test_names_that_differ_in_case_only(client: httpx.AsyncClient, api: StorageApi):
    await put(client, api, "open/x.jpg")
    await put(client, api, "open/X.jpg")
    assert sorted(await list_names(client, api, search="x")) == ["X.jpg", "x.jpg"]


async def test_a_listing_of_a_bucket_that_is_missing(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.post("object/list/none", json={"prefix": ""}, headers=key_of(api))
    assert answer.json() == []
