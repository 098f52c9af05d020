"""What WhatsApp refuses, and answers that are none."""

from __future__ import annotations

import math
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from poller.http import ProviderError
from poller.records import Failure
from poller.sandbox.faults import Fault
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import bad_token, graph_error, rate_limited
from poller.whatsapp import Source, WhatsApp
from tests.whatsapp_client.conftest import (
    PNG,
    TIMEOUT,
    failure_of,
    received,
    url_of,
)


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


async def test_a_wrong_token(http: aiohttp.ClientSession, whatsapp: WhatsAppApi) -> None:
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

    assert raised.value.failure.text == "Malformed access token [hidden]"


async def test_who_the_token_stands_for(http: aiohttp.ClientSession, whatsapp: WhatsAppApi) -> None:
    whatsapp.add_phone_number("106", "Example GmbH")

    for phone, name in ((None, "sandbox system user"), ("106", "Example GmbH")):
        api = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), phone, TIMEOUT)
        assert await api.identify() == name
    foreign = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), "107", TIMEOUT)
    with pytest.raises(ProviderError) as raised:
        await foreign.identify()
    assert raised.value.failure.provider_code == "100"
