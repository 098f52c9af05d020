"""The Supabase Storage of the sandbox, asked over HTTP: buckets, uploads and what is kept."""

import asyncio
import base64
import json
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import stalled

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


# Buckets


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


# Uploads


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


# Limits


@pytest.mark.parametrize("limit", [None, 10, LIMIT])
async def test_limits_are_inclusive_and_the_lower_one_counts(
    client: httpx.AsyncClient, limit: int | None
):
    await client.put("bucket/media", json={"file_size_limit": limit})
    most = limit or LIMIT

    assert code_of(await client.put("object/media/a", content=bytes(most))) == ""
    assert code_of(await client.put("object/media/a", content=bytes(most + 1))) == "EntityTooLarge"
    assert code_of(await send_form(client, "b", bytes(most))) == ""
    assert code_of(await send_form(client, "c", bytes(most + 1))) == "EntityTooLarge"
    assert code_of(await client.get("object/media/c")) == "NoSuchKey"


async def test_a_global_limit_below_that_of_a_bucket(tmp_path: Path):
    async with StorageApi(tmp_path, file_size_limit=20) as api, connect(api) as client:
        await client.post("bucket", json={"name": "media", "file_size_limit": 20})
    async with StorageApi(tmp_path, file_size_limit=10) as api, connect(api) as client:
        assert code_of(await client.put("object/media/a", content=bytes(10))) == ""
        assert code_of(await client.put("object/media/a", content=bytes(11))) == "EntityTooLarge"


async def test_a_limit_of_zero_blocks_uploads(client: httpx.AsyncClient):
    await client.put("bucket/media", json={"file_size_limit": 0})
    assert code_of(await client.put("object/media/a", content=b"a")) == "EntityTooLarge"
    assert code_of(await send_form(client, "a", b"a")) == "EntityTooLarge"


async def test_a_raw_body_without_a_length_passes_the_limits(client: httpx.AsyncClient):
    await client.put("bucket/media", json={"file_size_limit": 10})
    answer = await client.put("object/media/a", content=in_chunks(bytes(3 * LIMIT)))
    assert code_of(answer) == ""
    assert (await info_of(client, "a"))["size"] == 3 * LIMIT


async def test_a_large_form_is_read_to_its_end_before_it_is_refused(
    client: httpx.AsyncClient, tmp_path: Path
):
    answer = await send_form(client, "a", bytes(5 * MEGABYTE))
    assert code_of(answer) == "EntityTooLarge"
    assert incoming(tmp_path) == set()


async def test_a_large_upload_takes_no_memory(tmp_path: Path):
    async with StorageApi(tmp_path) as api, connect(api) as client:
        await client.post("bucket", json={"name": "media"})

        async def body() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield bytes(MEGABYTE)

        tracemalloc.start()
        try:
            await client.put("object/media/a", content=body())
            async with client.stream("GET", "object/media/a") as answer:
                size = sum([len(piece) async for piece in answer.aiter_bytes()])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert size == 40 * MEGABYTE
    assert peak < 10 * MEGABYTE


# MIME types


@pytest.mark.parametrize(
    ("content_type", "raw", "form"),
    [
        ("audio/ogg", "", ""),
        ("video/mp4", "", ""),
        ("image/png", "InvalidMimeType", "InvalidMimeType"),
        ("audio/ogg; codecs=opus", "InvalidMimeType", ""),
        ("AUDIO/OGG", "InvalidMimeType", ""),
    ],
)
async def test_raw_types_are_compared_as_they_are_and_those_of_forms_without_parameters(
    client: httpx.AsyncClient, content_type: str, raw: str, form: str
):
    allowed = {"allowed_mime_types": ["audio/ogg", "video/*"]}
    await client.put("bucket/media", json=allowed)

    headers = {"Content-Type": content_type}
    answer = await client.put("object/media/raw", content=b"hello", headers=headers)

    assert code_of(answer) == raw
    assert code_of(await send_form(client, "form", b"hello", content_type)) == form


async def test_a_form_can_say_the_type_in_a_field(client: httpx.AsyncClient):
    await send_form(client, "a", b"hello", "image/png", contentType="audio/ogg; codecs=opus")
    assert (await info_of(client, "a"))["content_type"] == "audio/ogg; codecs=opus"


async def test_no_allowed_types_allow_all(client: httpx.AsyncClient):
    await client.put("bucket/media", json={"allowed_mime_types": []})
    assert code_of(await send_form(client, "a", b"hello", "audio/ogg; codecs=opus")) == ""
    assert (await info_of(client, "a"))["content_type"] == "audio/ogg"


# Objects that are there already


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


# Removing


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


# The folder and the server


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
