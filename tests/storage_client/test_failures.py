"""The client of Supabase Storage: what it says of refusals and of connections that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from poller.http import open_session
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
from poller.storage import Storage
from tests.storage_client.conftest import (
    PATH,
    TIMEOUT,
    failure_of,
    upload,
)


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
    http: aiohttp.ClientSession, storage: StorageApi, bucket: str, kind: str
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


async def test_a_server_that_is_not_there(http: aiohttp.ClientSession, storage: StorageApi) -> None:
    api = Storage(http, storage.url, SecretStr(storage.service_key), TIMEOUT)
    await storage.stop()

    failure = await failure_of(upload(api))

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


@pytest.mark.parametrize("route", ["upload", "remove"])
async def test_no_answer_is_read_whole(
    api: Storage, storage: StorageApi, bucket: str, route: str
) -> None:
    """A server that goes on and on is none of Storage's."""
    storage.faults.always(route, Fault(200, b"[" + b" " * 20_000_000 + b"]"))

    failure = await failure_of(upload(api) if route == "upload" else api.remove(bucket, [PATH]))

    assert (failure.provider_code, failure.http_status) == (None, 200)
    assert "none of Supabase Storage's" in failure.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_stops_reading(streamed: bool) -> None:
    """It answers nothing, either, and the time for so many bytes would be minutes."""
    content = bytes(20_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 1 << 20):
            yield content[at : at + (1 << 20)]

    async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    async with (
        await asyncio.start_server(read_nothing, "127.0.0.1", 0) as server,
        open_session({"127.0.0.1"}, 0.2, 4) as session,
        asyncio.timeout(20),
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        api = Storage(session, url, SecretStr("key"), 0.2)
        body = pieces() if streamed else content
        failure = await failure_of(
            api.upload(
                "media", PATH, body, size=len(content), content_type="image/png", cache_control="1"
            )
        )
        ended.set()

    assert failure == Failure("storage", "TimeoutError", "network")


async def test_a_refusal_is_one_though_its_text_trickles(
    impatient: Storage, storage: StorageApi, bucket: str
) -> None:
    storage.faults.once("remove", Fault(403, "{" + " " * 5000, bytes_per_second=40))

    failure = await failure_of(impatient.remove(bucket, [PATH]))

    assert (failure.provider_code, failure.http_status) == (None, 403)
