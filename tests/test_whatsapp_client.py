"""The client of the WhatsApp Cloud API, over real HTTP, against all that can go wrong."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp.resolver import ThreadedResolver
from pydantic import SecretStr

from poller.http import ProviderError, open_client
from poller.records import Failure
from poller.sandbox.faults import Fault
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import bad_token, graph_error, rate_limited
from poller.whatsapp import Source, WhatsApp

TIMEOUT = 5.0
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300_000)


@pytest.fixture
async def http(whatsapp: WhatsAppApi) -> AsyncIterator[httpx.AsyncClient]:
    del whatsapp
    async with open_client({"127.0.0.1"}, TIMEOUT, 4) as client:
        yield client


@pytest.fixture
def api(http: httpx.AsyncClient, whatsapp: WhatsAppApi) -> WhatsApp:
    return WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), None, TIMEOUT)


@pytest.fixture
async def impatient(whatsapp: WhatsAppApi) -> AsyncIterator[WhatsApp]:
    """A client that bears 0.2 seconds of silence."""
    async with open_client({"127.0.0.1"}, 0.2, 4) as client:
        yield WhatsApp(client, whatsapp.url, SecretStr(whatsapp.token), None, 0.2)


@dataclass(slots=True)
class Elsewhere:
    """A host that has nothing to do with WhatsApp, and how often it was asked over HTTP or TLS.

    Another test may knock at the port by mistake, looking for a server that had it before.
    """

    port: int = 0
    connections: int = 0
    transports: list[asyncio.BaseTransport] = field(default_factory=list[asyncio.BaseTransport])


class Knock(asyncio.Protocol):
    """A connection to Elsewhere: what it begins with tells who knocks."""

    def __init__(self, here: Elsewhere) -> None:
        self._here = here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._here.transports.append(transport)

    def data_received(self, data: bytes) -> None:
        if data[:2] in (b"GE", b"\x16\x03"):
            self._here.connections += 1
        self._here.transports[-1].close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    here = Elsewhere()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Knock(here), "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    async with server:
        yield here
        for transport in here.transports:
            transport.close()
        await asyncio.sleep(0)  # closing takes a turn of the loop


async def received(api: WhatsApp, url: str, max_bytes: int = 1_000_000) -> bytes:
    pieces: list[bytes] = []
    await api.download(url, max_bytes, pieces.append)
    return b"".join(pieces)


async def failure_of(awaitable: Any) -> Failure:
    with pytest.raises(ProviderError) as caught:
        await awaitable
    assert caught.value.failure.source == "whatsapp"
    return caught.value.failure


async def url_of(api: WhatsApp, whatsapp: WhatsAppApi, content: bytes = PNG) -> str:
    return (await api.describe(whatsapp.add_media(content, "image/png"), None)).url


async def test_what_a_media_id_stands_for(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    media_id = whatsapp.add_media(PNG, "image/png; codecs=x", sha256="ab" * 32)

    source = await api.describe(media_id, None)

    assert source == Source(source.url, "image/png; codecs=x", len(PNG), "ab" * 32)
    assert await received(api, source.url) == PNG


async def test_a_size_in_a_string(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    whatsapp.file_size_as_text = True

    assert (await api.describe(whatsapp.add_media(PNG, "image/png"), None)).file_size == len(PNG)


@pytest.mark.parametrize(
    "size", [None, "", "many", -1, 1.5, "9" * 30, 10**30, "1" * 5000, True, [1], {"a": 1}]
)
async def test_a_size_that_is_none(api: WhatsApp, whatsapp: WhatsAppApi, size: object) -> None:
    whatsapp.faults.once("metadata", Fault(200, {"url": "https://x", "file_size": size}))

    source = await api.describe("1", None)

    assert source == Source("https://x", None, None, None)


async def test_the_number_it_asks_with(http: httpx.AsyncClient, whatsapp: WhatsAppApi) -> None:
    api = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), "default", TIMEOUT)
    media_id = whatsapp.add_media(PNG, "image/png")

    await api.describe(media_id, None)
    await api.describe(media_id, "of the message")

    asked = [httpx.URL(request.path).params["phone_number_id"] for request in whatsapp.requests]
    assert asked == ["default", "of the message"]


@pytest.mark.parametrize(
    "media_id",
    ["../x", "a/b?c#d", "a b", "ü一", "/x", "%2e%2e", "a%2Fb", "..%2f..", "a:b", "a\\b", "?", "#",
     "http://127.0.0.1:{port}/x", "//127.0.0.1:{port}/x", "/../x", "me/messages", "1&fields=x"],
)  # fmt: skip
async def test_an_odd_media_id_stays_one_segment(
    api: WhatsApp, whatsapp: WhatsAppApi, elsewhere: Elsewhere, media_id: str
) -> None:
    media_id = media_id.format(port=elsewhere.port)

    failure = await failure_of(api.describe(media_id, None))

    assert (failure.provider_code, failure.http_status) == ("100", 400)
    assert dict(whatsapp.metadata_requests) == {media_id: 1}
    assert elsewhere.connections == 0
    whatsapp.add_media(PNG, "image/png", media_id=media_id)
    assert (await api.describe(media_id, None)).file_size == len(PNG)


@pytest.mark.parametrize("media_id", ["", ".", ".."])
async def test_a_media_id_that_is_no_segment(
    api: WhatsApp, whatsapp: WhatsAppApi, media_id: str
) -> None:
    failure = await failure_of(api.describe(media_id, None))

    assert failure.provider_code == "unsafe_url"
    assert whatsapp.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/x",
        "http://127.0.0.1:{port}/x",
        "https://127.0.0.1:{port}/x",
        "http://graph.facebook.com:{port}/x",
        "http://graph.facebook.com@127.0.0.1:{port}/x",
        "https://graph.facebook.com.localhost:{port}/x",
        "https://notfbcdn.net:{port}/x",
        "http://user@{api}/x",
        "//127.0.0.1:{port}/x",
        "/x",
        "",
        "http://[::1",
        "http://127.0.0.1:{port}99999/x",
        "file:///etc/passwd",
        "https://lookaside.fbsbx.com\\@127.0.0.1:{port}/x",
        "https://127.0.0.1:{port}\\@lookaside.fbsbx.com.evil/x",
        "https://\x00/",
        "https://xn--a.fbsbx.com/x",
        "https://lookaside.fbsbx.com/x?\xe9=\ud83d",
    ],
)
async def test_the_token_goes_to_no_other_host(
    api: WhatsApp, whatsapp: WhatsAppApi, elsewhere: Elsewhere, url: str
) -> None:
    address = f"127.0.0.1:{httpx.URL(whatsapp.url).port}"
    whatsapp.faults.once(
        "metadata", Fault(200, {"url": url.format(port=elsewhere.port, api=address)})
    )
    source = await api.describe("1", None)
    whatsapp.requests.clear()

    failure = await failure_of(received(api, source.url))

    assert failure.provider_code == "unsafe_url"
    assert failure.http_status is None
    assert failure.text.isprintable()
    assert elsewhere.connections == 0
    assert whatsapp.requests == []


@pytest.mark.parametrize("host", ["graph.facebook.com", "lookaside.fbsbx.com", "x.fbcdn.net"])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
async def test_a_name_of_meta_with_a_private_address(
    api: WhatsApp,
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    address: str,
) -> None:
    async def resolve(_: object, name: str, port: int = 0, family: int = 0) -> list[Any]:
        where = {"hostname": name, "host": address, "port": port}
        return [{**where, "family": family, "proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)

    failure = await failure_of(received(api, f"https://{host}:{elsewhere.port}/x"))

    assert failure.provider_code == "network"
    assert f"{host} has no public address" in failure.text
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    api: WhatsApp, whatsapp: WhatsAppApi, elsewhere: Elsewhere, status: int
) -> None:
    url = await url_of(api, whatsapp)
    away = Fault(status, headers={"Location": f"http://127.0.0.1:{elsewhere.port}/"})
    whatsapp.faults.always("*", away)

    failures = [await failure_of(api.describe("1", None)), await failure_of(received(api, url))]

    redirected = Failure("whatsapp", f"HTTP {status}", http_status=status)
    assert failures == [redirected] * 2
    assert elsewhere.connections == 0


async def test_cookies_are_not_kept(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    whatsapp.faults.always("*", Fault(headers={"Set-Cookie": "who=me; Path=/"}))

    url = await url_of(api, whatsapp)
    await received(api, url)

    assert len(whatsapp.requests) == 2
    assert not [request for request in whatsapp.requests if "Cookie" in request.headers]


@pytest.mark.parametrize("over", [0, 1, 2, 100_000])
async def test_a_download_ends_one_byte_past_the_limit(
    api: WhatsApp, whatsapp: WhatsAppApi, over: int
) -> None:
    limit = len(PNG) - over

    body = await received(api, await url_of(api, whatsapp), limit)

    assert body == PNG[: limit + 1]
    assert await received(api, await url_of(api, whatsapp)) == PNG  # the client still works


async def test_an_endless_body_without_a_length_is_cut_off(
    api: WhatsApp, whatsapp: WhatsAppApi
) -> None:
    media_id = whatsapp.add_media(10_000_000_000, "video/mp4", sha256="ab" * 32)
    whatsapp.faults.once("download", Fault(chunked=True))

    body = await received(api, (await api.describe(media_id, None)).url, 1000)

    assert body == bytes(1001)


@pytest.mark.parametrize("after", [None, 0, 1000, len(PNG) - 1])
async def test_a_connection_that_breaks(
    api: WhatsApp, whatsapp: WhatsAppApi, after: int | None
) -> None:
    url = await url_of(api, whatsapp)
    whatsapp.faults.always("download", Fault.disconnect(after))

    failure = await failure_of(received(api, url))

    assert (failure.provider_code, failure.http_status) == ("network", None)
    assert failure.text


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("after", [None, 0, 10])
async def test_a_description_that_breaks_off(
    api: WhatsApp, whatsapp: WhatsAppApi, after: int | None, chunked: bool
) -> None:
    fault = Fault(interruption="disconnect", after=after, chunked=chunked)
    whatsapp.faults.always("metadata", fault)

    failure = await failure_of(api.describe(whatsapp.add_media(PNG, "image/png"), None))

    assert (failure.provider_code, failure.http_status) == ("network", None)


async def test_a_server_that_is_not_there(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    url = await url_of(api, whatsapp)
    await whatsapp.stop()

    for code, call in (("network", received(api, url)), ("unreachable", api.describe("1", None))):
        failure = await failure_of(call)
        assert (failure.provider_code, failure.http_status) == (code, None)
        assert "Connect" in failure.text


@pytest.mark.parametrize("route", ["metadata", "download"])
@pytest.mark.parametrize("after", [None, 0, 10])
async def test_a_server_that_falls_silent(
    api: WhatsApp, impatient: WhatsApp, whatsapp: WhatsAppApi, route: str, after: int | None
) -> None:
    url = await url_of(api, whatsapp)
    media_id = whatsapp.add_media(b"x", "image/jpeg")
    whatsapp.faults.once(route, Fault.stall(after))

    failure = await failure_of(
        received(impatient, url) if route == "download" else impatient.describe(media_id, None)
    )

    assert (failure.provider_code, failure.http_status) == ("network", None)
    assert "Timeout" in failure.text


@pytest.mark.parametrize("fault", [Fault.stall(10), Fault.disconnect(10)])
async def test_a_refusal_is_one_though_its_text_does_not_come(
    impatient: WhatsApp, whatsapp: WhatsAppApi, fault: Fault
) -> None:
    whatsapp.faults.once("metadata", fault)

    failure = await failure_of(impatient.describe("1", None))

    assert (failure.provider_code, failure.http_status) == (None, 400)


@pytest.mark.parametrize("route", ["metadata", "download"])
async def test_a_server_that_trickles(
    api: WhatsApp, impatient: WhatsApp, whatsapp: WhatsAppApi, route: str
) -> None:
    """It is never silent for long, and still it is given up."""
    url = await url_of(api, whatsapp)
    trickle = Fault(body=" " * 5000, bytes_per_second=40)
    whatsapp.faults.once(route, trickle)
    started = time.monotonic()

    failure = await failure_of(
        received(impatient, url, 50_000) if route == "download" else impatient.describe("1", None)
    )

    assert failure.provider_code == "network"
    assert failure.text == "TimeoutError"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("route", ["metadata", "download"])
async def test_a_page_of_a_proxy(api: WhatsApp, whatsapp: WhatsAppApi, route: str) -> None:
    url = await url_of(api, whatsapp)
    page = Fault(502, "<html><body>502 Bad Gateway</body></html>", {"Retry-After": "7"})
    whatsapp.faults.once(route, page)

    failure = await failure_of(
        received(api, url) if route == "download" else api.describe("1", None)
    )

    assert failure == Failure("whatsapp", "HTTP 502", http_status=502, retry_after=7.0)


@pytest.mark.parametrize("route", ["metadata", "download"])
@pytest.mark.parametrize(
    ("fault", "code", "status", "retry_after"),
    [
        (bad_token(), "190", 401, None),
        (rate_limited(), "130429", 400, None),
        (rate_limited(120), "130429", 400, 120.0),
        (graph_error(4, 400, "Application request limit reached"), "4", 400, None),
        (graph_error(131052, 400, "Media download error"), "131052", 400, None),
        (graph_error(2, 503, "Service temporarily unavailable", retry_after=1), "2", 503, 1.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_error_of_the_graph_api(
    api: WhatsApp,
    whatsapp: WhatsAppApi,
    route: str,
    fault: Fault,
    code: str,
    status: int,
    retry_after: float | None,
) -> None:
    url = await url_of(api, whatsapp)
    whatsapp.faults.once(route, fault)

    failure = await failure_of(
        received(api, url) if route == "download" else api.describe("1", None)
    )

    body: Any = fault.body
    assert failure == Failure("whatsapp", body["error"]["message"], code, status, retry_after)


async def test_a_wrong_token(http: httpx.AsyncClient, whatsapp: WhatsAppApi) -> None:
    api = WhatsApp(http, whatsapp.url, SecretStr("wrong-token"), None, TIMEOUT)

    failure = await failure_of(api.describe("1", None))

    assert (failure.provider_code, failure.http_status) == ("190", 401)
    assert "wrong-token" not in failure.text


SENT = "Tue, 01 Jan 2030 12:00:00 GMT"
"""By the server's clock, which is not ours."""


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("30", 30),
        ("Tue, 01 Jan 2030 13:00:00 GMT", 3600),
        ("Tue, 01 Jan 2030 14:00:00 +0100", 3600),
        ("Tue, 01 Jan 2030 11:00:00 GMT", -3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251_508_801_599),
        ("9" * 400, math.inf),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
        ("Tue, 01 Jan 2030 13:00:00 -0000", None),
    ],
)
async def test_retry_after_in_both_forms(
    api: WhatsApp, whatsapp: WhatsAppApi, header: str, seconds: float | None
) -> None:
    whatsapp.faults.once("metadata", Fault(429, headers={"Retry-After": header, "Date": SENT}))

    failure = await failure_of(api.describe("1", None))

    assert (failure.http_status, failure.retry_after) == (429, seconds)


async def test_a_date_to_retry_after_without_a_date_to_count_from(
    api: WhatsApp, whatsapp: WhatsAppApi
) -> None:
    headers = {"Retry-After": "Tue, 01 Jan 2030 13:00:00 GMT", "Date": "today"}
    whatsapp.faults.once("metadata", Fault(429, headers=headers))

    assert (await failure_of(api.describe("1", None))).retry_after is None


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", '"text"', "{", "<html>", "[" * 60_000, '{"url": 1}', '{"url": null}', "{}",
     b"\xff\xfe", '{"url": "https://x"}' + " " * 70_000 + "x"],
)  # fmt: skip
async def test_a_description_that_is_junk(
    api: WhatsApp, whatsapp: WhatsAppApi, body: str | bytes
) -> None:
    whatsapp.faults.once("metadata", Fault(200, body))

    if isinstance(body, str) and body.endswith("x"):  # only so much of it is read
        assert (await api.describe("1", None)).url == "https://x"
    else:
        failure = await failure_of(api.describe("1", None))
        assert failure == Failure("whatsapp", "the answer has no url", http_status=200)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ("text", None, "HTTP 400"),
        ({}, None, "HTTP 400"),
        ({"code": "12", "message": "m" * 9999}, "12", "m" * 500),
        ({"code": 1.5, "message": ["x"]}, None, "HTTP 400"),
        ({"code": {"a": 1}}, None, "HTTP 400"),
        ({"code": 1, "message": "a\u0000b\nc\ud800d"}, "1", "a b c d"),
    ],
)
async def test_an_error_that_is_junk(
    api: WhatsApp, whatsapp: WhatsAppApi, error: object, code: str | None, text: str
) -> None:
    whatsapp.faults.once("metadata", Fault(400, {"error": error}))

    assert await failure_of(api.describe("1", None)) == Failure("whatsapp", text, code, 400)


async def test_text_that_postgres_cannot_hold(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    whatsapp.faults.once(
        "metadata", Fault(200, {"url": "https://x", "mime_type": "a\u0000b", "sha256": "\ud800"})
    )

    assert await api.describe("1", None) == Source("https://x", "a b", None, " ")


async def test_bytes_come_as_they_are(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    url = await url_of(api, whatsapp)
    whatsapp.faults.once("download", Fault(headers={"Content-Encoding": "gzip"}))

    assert await received(api, url) == PNG
    assert whatsapp.requests[-1].headers["Accept-Encoding"] == "identity"


async def test_metas_message_quotes_a_malformed_token(api: WhatsApp, whatsapp: WhatsAppApi) -> None:
    whatsapp.faults.always(
        "metadata", graph_error(190, 400, f"Malformed access token {whatsapp.token}")
    )

    with pytest.raises(ProviderError) as raised:
        await api.describe(whatsapp.add_media(PNG, "image/png"), None)

    assert raised.value.failure.text == "Malformed access token ..."


async def test_who_the_token_stands_for(http: httpx.AsyncClient, whatsapp: WhatsAppApi) -> None:
    whatsapp.add_phone_number("106", "Example GmbH")

    for phone, name in ((None, "sandbox system user"), ("106", "Example GmbH")):
        api = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), phone, TIMEOUT)
        assert await api.identify() == name
    foreign = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), "107", TIMEOUT)
    with pytest.raises(ProviderError) as raised:
        await foreign.identify()
    assert raised.value.failure.provider_code == "100"
