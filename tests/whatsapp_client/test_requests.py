"""What is asked of WhatsApp, of whom, and what its answers mean."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp.resolver import ThreadedResolver
from pydantic import SecretStr
from yarl import URL

from poller.records import Failure
from poller.sandbox.faults import Fault
from poller.sandbox.whatsapp import WhatsAppApi
from poller.whatsapp import Source, WhatsApp
from tests.whatsapp_client.conftest import (
    PNG,
    TIMEOUT,
    Elsewhere,
    failure_of,
    received,
    url_of,
)


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


async def test_the_number_it_asks_with(http: aiohttp.ClientSession, whatsapp: WhatsAppApi) -> None:
    api = WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), "default", TIMEOUT)
    media_id = whatsapp.add_media(PNG, "image/png")

    await api.describe(media_id, None)
    await api.describe(media_id, "of the message")

    asked = [URL(request.path).query["phone_number_id"] for request in whatsapp.requests]
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
        "https://a b.fbsbx.com/x",
        "https://127.0.0.1%2f.fbsbx.com/x",
        "https://lookaside.fbsbx.com\n/x",
        "https://lookaside.fbsbx.com/x?\xe9=\ud83d",
    ],
)
async def test_the_token_goes_to_no_other_host(
    api: WhatsApp, whatsapp: WhatsAppApi, elsewhere: Elsewhere, url: str
) -> None:
    address = f"127.0.0.1:{URL(whatsapp.url).port}"
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


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("h=%2F%3d%7E+/=&&b=%zz%&a=|{}\\", "h=%2F%3d%7E+/=&&b=%zz%&a=|{}\\"),
        ("h=a b", "h=a+b"),
        ("h=\u00fc", "h=%C3%BC"),
        ("h=%2F#x", "h=%2F"),
    ],
)
async def test_the_url_is_asked_as_it_came(
    api: WhatsApp, whatsapp: WhatsAppApi, more: str, asked: str
) -> None:
    url = await url_of(api, whatsapp)

    assert await received(api, f"{url}&{more}") == PNG

    assert whatsapp.requests[-1].path.endswith(f"&{asked}")


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
