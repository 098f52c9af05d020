"""The client of Supabase Storage, over real HTTP, against all that can go wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr

from poller.content import Spool
from poller.http import ProviderError, open_client
from poller.records import Failure
from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import (
    bad_gateway,
    database_timeout,
    dropped,
    gateway_denial,
    internal_error,
    read_only,
    too_many_connections,
)
from poller.storage import REMOVE_AT_MOST, Storage
from tests.helpers import begin_upload, claim, eventually, queue_media

TIMEOUT = 5.0
PATH = "2026/11/file.png"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client({"127.0.0.1"}, TIMEOUT, 4) as client:
        yield client


@pytest.fixture
async def bucket(storage: StorageApi, http: httpx.AsyncClient) -> str:
    """A bucket for PNG files of at most 100 kB."""
    options = {"id": "media", "name": "media", "public": False, "file_size_limit": 100_000,
               "allowed_mime_types": ["image/png"]}  # fmt: skip
    made = await http.post(
        f"{storage.url}/storage/v1/bucket", json=options, headers=authorized(storage)
    )
    assert made.is_success
    return "media"


@pytest.fixture
def api(http: httpx.AsyncClient, storage: StorageApi, bucket: str) -> Storage:
    del bucket
    return Storage(http, storage.url, SecretStr(storage.service_key), TIMEOUT)


@pytest.fixture
async def impatient(storage: StorageApi) -> AsyncIterator[Storage]:
    """A client that bears 0.2 seconds of silence."""
    async with open_client({"127.0.0.1"}, 0.2, 4) as client:
        yield Storage(client, storage.url, SecretStr(storage.service_key), 0.2)


def authorized(storage: StorageApi) -> dict[str, str]:
    return {"Authorization": f"Bearer {storage.service_key}", "apikey": storage.service_key}


async def upload(api: Storage, content: bytes = PNG, path: str = PATH, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "size": len(content),
        "content_type": "image/png",
        "cache_control": "60",
    }
    await api.upload(changes.pop("bucket", "media"), path, content, **(arguments | changes))


async def failure_of(awaitable: Any) -> Failure:
    with pytest.raises(ProviderError) as caught:
        await awaitable
    assert caught.value.failure.source == "storage"
    return caught.value.failure


async def test_a_file_is_stored(
    api: Storage, storage: StorageApi, http: httpx.AsyncClient, files: Path
) -> None:
    await upload(api, cache_control="max-age=60, immutable")

    assert (files / "media" / PATH).read_bytes() == PNG
    stored = await http.get(
        f"{storage.url}/storage/v1/object/media/{PATH}", headers=authorized(storage)
    )
    assert stored.content == PNG
    assert stored.headers["content-type"] == "image/png"
    assert stored.headers["cache-control"] == "max-age=60, immutable"


async def test_a_repeated_upload_replaces_the_file(api: Storage, files: Path) -> None:
    await upload(api, b"a part")

    await upload(api)

    assert (files / "media" / PATH).read_bytes() == PNG


async def test_a_big_upload_is_streamed_with_its_length(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    seen: list[dict[str, str]] = []
    received = 0

    async def receive(request: web.Request) -> web.Response:
        nonlocal received
        seen.append({"version": "{}.{}".format(*request.version), **request.headers})
        async for piece in request.content.iter_chunked(65_536):
            received += len(piece)
        return web.json_response({"Key": "x"})

    app = web.Application()
    app.router.add_post("/storage/v1/object/media/{path:.*}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = Storage(http, f"http://127.0.0.1:{runner.addresses[0][1]}", SecretStr("key"), TIMEOUT)
    with Spool(1000, tmp_path) as spool:
        for _ in range(200):
            spool.write(bytes(100_000))
        content = spool.content()
        assert not isinstance(content, bytes)
        await api.upload(
            "media", PATH, content, size=spool.size, content_type="image/png", cache_control="60"
        )
    await runner.cleanup()

    assert received == 20_000_000
    (headers,) = seen
    assert headers["version"] == "1.1"
    assert headers["Content-Length"] == "20000000"
    assert "Transfer-Encoding" not in headers
    assert headers["Authorization"] == "Bearer key"
    assert headers["apikey"] == "key"
    assert headers["x-upsert"] == "true"
    assert headers["Content-Type"] == "image/png"


async def test_what_storage_refuses(api: Storage, files: Path) -> None:
    too_large = await failure_of(upload(api, bytes(100_001)))
    wrong_type = await failure_of(upload(api, content_type="image/jpeg"))
    no_bucket = await failure_of(upload(api, bucket="nowhere"))
    bad_path = await failure_of(upload(api, path="a%ff"))

    codes = ["EntityTooLarge", "InvalidMimeType", "NoSuchBucket", "InvalidKey"]
    refusals = [too_large, wrong_type, no_bucket, bad_path]
    assert [one.provider_code for one in refusals] == codes
    assert [one.http_status for one in refusals] == [413, 415, 404, 400]
    assert too_large.text == "The object exceeded the maximum allowed size"
    assert not list((files / "media").rglob("*.png"))


@pytest.mark.parametrize("kind", ["wrong", "expired", "anon", "junk"])
async def test_a_key_that_is_refused(
    http: httpx.AsyncClient, storage: StorageApi, bucket: str, kind: str
) -> None:
    key = {
        "wrong": storage.make_key("service_role", secret="another secret of 32 characters or more"),
        "expired": storage.make_key("service_role", expires_in=-60),
        "anon": storage.anon_key,
        "junk": "junk",
    }[kind]
    api = Storage(http, storage.url, SecretStr(key), TIMEOUT)

    failure = await failure_of(upload(api, bucket=bucket))

    assert failure.http_status == 403
    assert key not in failure.text


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (read_only(), Failure("storage", "The database is currently in read-only mode."
                              " Please try again later.", "DatabaseReadOnly", 503)),
        (database_timeout(), Failure("storage", "The connection to the database timed out",
                                     "DatabaseTimeout", 544)),
        (too_many_connections(), Failure("storage", "Too many connections issued to the database",
                                         "SlowDown", 429)),
        (internal_error(), Failure("storage", "Internal Server Error", "InternalError", 500)),
        (bad_gateway(), Failure("storage", "HTTP 502", None, 502)),
        (gateway_denial(), Failure("storage", "HTTP 401", None, 401)),
        (Fault(429, "slow down", {"Retry-After": "30"}),
         Failure("storage", "HTTP 429", None, 429, 30.0)),
        (Fault(302, headers={"Location": "http://127.0.0.1:1/"}),
         Failure("storage", "HTTP 302", None, 302)),
        (Fault(400, {"statusCode": 404, "message": "as a number", "code": "X"}),
         Failure("storage", "as a number", "X", 404)),
        (Fault(400, {"statusCode": "9" * 30, "message": None, "code": None}),
         Failure("storage", "HTTP 400", None, 400)),
        (Fault(400, {"statusCode": {}, "message": ["x"], "code": "a\u0000b"}),
         Failure("storage", "['x']", "a b", 400)),
        (Fault(400, {"message": "a\u0000b\nc" + "d" * 999}),
         Failure("storage", "a b c" + "d" * 495, None, 400)),
        (Fault(500, "[" * 50_000), Failure("storage", "HTTP 500", None, 500)),
    ],
    ids=lambda value: value.text[:30] if isinstance(value, Failure) else "",
)  # fmt: skip
@pytest.mark.parametrize("route", ["upload", "remove"])
async def test_an_error_by_what_the_body_says(
    api: Storage, storage: StorageApi, route: str, fault: Fault, expected: Failure
) -> None:
    storage.faults.once(route, fault)

    failure = await failure_of(upload(api) if route == "upload" else api.remove("media", [PATH]))

    assert failure == expected


@pytest.mark.parametrize("fault", [dropped(), Fault.disconnect(), Fault.disconnect(after=5)])
@pytest.mark.parametrize("route", ["upload", "remove"])
async def test_a_connection_that_breaks(
    api: Storage, storage: StorageApi, route: str, fault: Fault
) -> None:
    storage.faults.always(route, fault)

    failure = await failure_of(upload(api) if route == "upload" else api.remove("media", [PATH]))

    assert (failure.provider_code, failure.http_status) == ("network", None)
    storage.faults.clear()
    await upload(api)  # the client still works


async def test_a_server_that_is_not_there(impatient: Storage, storage: StorageApi) -> None:
    await storage.stop()

    failure = await failure_of(upload(impatient))

    assert (failure.provider_code, failure.http_status) == ("unreachable", None)
    assert storage.service_key not in failure.text


@pytest.mark.parametrize("after", [None, 0, 5])
@pytest.mark.parametrize("route", ["upload", "remove"])
async def test_a_server_that_falls_silent(
    impatient: Storage, storage: StorageApi, bucket: str, route: str, after: int | None
) -> None:
    storage.faults.once(route, Fault.stall(after))

    failure = await failure_of(
        upload(impatient) if route == "upload" else impatient.remove(bucket, [PATH])
    )

    assert (failure.provider_code, failure.http_status) == ("network", None)
    assert "Timeout" in failure.text


@pytest.mark.parametrize("route", ["upload", "remove"])
async def test_a_server_that_trickles(
    impatient: Storage, storage: StorageApi, bucket: str, route: str
) -> None:
    """It is never silent for long, and still it is given up."""
    storage.faults.once(route, Fault(200, " " * 5000, bytes_per_second=40))
    started = time.monotonic()

    failure = await failure_of(
        upload(impatient) if route == "upload" else impatient.remove(bucket, [PATH])
    )

    assert failure == Failure("storage", "TimeoutError", "network")
    assert time.monotonic() - started < 10


async def test_files_are_removed(api: Storage, storage: StorageApi, files: Path) -> None:
    paths = [f"2026/11/{number}.png" for number in range(5)]
    for path in paths:
        await upload(api, path=path)

    await api.remove("media", [*paths[:4], "2026/11/never there.png"])

    left = [file.name for file in (files / "media").rglob("*.png")]
    assert left == ["4.png"]
    await api.remove("media", paths[:4])  # once more is no error
    assert storage.requests["remove"] == 2


async def test_as_many_files_as_one_call_may_remove(api: Storage) -> None:
    await api.remove("media", [f"{number}.png" for number in range(REMOVE_AT_MOST)])

    failure = await failure_of(api.remove("media", [f"{n}.png" for n in range(REMOVE_AT_MOST + 1)]))

    assert failure.http_status == 400


async def test_an_upload_that_is_cut_short_stores_nothing(
    api: Storage, storage: StorageApi, files: Path
) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield PNG[:500]
        raise OSError("the disk is gone")

    failure = await failure_of(
        api.upload("media", PATH, half(), size=len(PNG), content_type="image/png", cache_control="")
    )

    assert failure.provider_code == "network"
    await eventually(lambda: storage.requests["upload"] == 1)
    assert not (files / "media" / PATH).exists()


async def test_what_the_database_says_about_caching_is_a_header(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash="ab" * 32)

    assert begun["cache_control"] == "max-age=31536000, immutable"
