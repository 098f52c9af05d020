"""Downloads that are too long, break off, fall silent or trickle."""

from __future__ import annotations

import asyncio
import time

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.whatsapp import WhatsAppApi
from poller.whatsapp import WhatsApp
from tests.whatsapp_client.conftest import (
    PNG,
    AnyWhere,
    failure_of,
    received,
    url_of,
)


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


@pytest.mark.parametrize(
    "fault", [Fault.stall(10), Fault.disconnect(10), Fault(bytes_per_second=10)]
)
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
    media_id = whatsapp.add_media(PNG, "image/png")
    trickle = Fault(body=" " * 5000, bytes_per_second=40)
    whatsapp.faults.once(route, trickle)
    started = time.monotonic()

    failure = await failure_of(
        received(impatient, url, 50_000)
        if route == "download"
        else impatient.describe(media_id, None)
    )

    assert failure.provider_code == "network"
    assert failure.text == "TimeoutError"
    assert time.monotonic() - started < 10


async def test_a_body_that_breaks_its_framing_is_given_up(impatient_at: AnyWhere) -> None:
    """aiohttp tells nobody of a chunk without a length, whatever comes after it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"ZZ\r\n")
        await reader.read()
        writer.close()

    async with impatient_at(answer) as (api, url), asyncio.timeout(20):
        failure = await failure_of(received(api, f"{url}/file", 50_000_000))

    assert failure.provider_code == "network"
