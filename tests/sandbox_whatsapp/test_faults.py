"""The stand-in for WhatsApp: faults that can be staged, and when they happen."""

import asyncio
import random
import time

import httpx
import pytest

from poller.sandbox.faults import Fault, Faults
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import graph_error, rate_limited
from tests.sandbox_whatsapp.conftest import MEGABYTE, PHOTO, ask, error_of, read

# Faults


@pytest.mark.parametrize(
    ("body", "content_type", "content"),
    [
        (b"\x00\x01", "application/octet-stream", b"\x00\x01"),
        ("<html>bad gateway</html>", "text/html; charset=utf-8", b"<html>bad gateway</html>"),
        ({"error": "x"}, "application/json; charset=utf-8", b'{"error": "x"}'),
        (None, "application/octet-stream", b""),
    ],
)
async def test_an_answer_can_be_replaced(
    client: httpx.AsyncClient,
    api: WhatsAppApi,
    photo: str,
    body: bytes | str | dict[str, object] | None,
    content_type: str,
    content: bytes,
):
    api.faults.once("metadata", Fault(502, body, {"retry-after": "7"}))

    answer = await ask(client, api, photo)

    assert answer.status_code == 502
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Retry-After"] == "7"
    assert answer.content == content
    assert (await ask(client, api, photo)).status_code == 200
    assert api.refused == 0


async def test_other_bytes_can_come_under_the_real_headers(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str
):
    api.faults.once("download", Fault(body=b"<html>", headers={"x-trace": "1"}))

    answer = await client.get(photo_url)

    assert (answer.status_code, answer.content) == (200, b"<html>")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Length"] == "6"
    assert answer.headers["X-Trace"] == "1"


async def test_a_content_type_can_be_replaced(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str
):
    api.faults.once("download", Fault(headers={"content-type": "image/png"}))

    answer = await client.get(photo_url)

    assert answer.headers.get_list("Content-Type") == ["image/png"]
    assert answer.content == PHOTO


async def test_a_length_can_be_withheld(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str
):
    api.faults.once("download", Fault(chunked=True))

    answer = await client.get(photo_url)

    assert "Content-Length" not in answer.headers
    assert answer.content == PHOTO


async def test_a_redirect_can_be_staged(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str
):
    api.faults.once("download", Fault(302, headers={"Location": "https://example.com/"}))

    answer = await client.get(photo_url)

    assert answer.status_code == 302
    assert answer.headers["Location"] == "https://example.com/"


async def test_graph_errors_have_metas_shape(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str
):
    api.faults.once("metadata", graph_error(80007, 400, "too many calls", 2494055, 30))
    api.faults.once("metadata", graph_error(131000, 500, "something went wrong"))
    api.faults.once("metadata", rate_limited(retry_after=60))

    limited, broken, busy = [await ask(client, api, photo) for _ in range(3)]

    assert (limited.status_code, limited.headers["Retry-After"]) == (400, "30")
    error = error_of(limited)
    assert error.pop("fbtrace_id")
    assert error == {
        "message": "too many calls",
        "type": "OAuthException",
        "code": 80007,
        "error_subcode": 2494055,
    }
    assert broken.status_code == 500
    assert "Retry-After" not in broken.headers
    assert "error_subcode" not in error_of(broken)
    assert (busy.status_code, busy.headers["Retry-After"]) == (400, "60")
    assert error_of(busy)["code"] == 130429


async def test_a_connection_can_end_before_the_answer(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, caplog: pytest.LogCaptureFixture
):
    api.faults.once("metadata", Fault.disconnect())

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await ask(client, api, photo)

    assert (await ask(client, api, photo)).status_code == 200
    assert not caplog.records  # a staged disconnect is no error of the server


@pytest.mark.parametrize("after", [0, 1, 100_000, 10 * MEGABYTE])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_connection_can_end_within_the_body(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str, after: int, chunked: bool
):
    fault = Fault(interruption="disconnect", after=after, chunked=chunked)
    api.faults.once("download", fault)
    received = bytearray()

    async with client.stream("GET", photo_url) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await read(answer, received)

    assert received == PHOTO[: min(after, len(PHOTO) - 1)]
    assert fault.reached.is_set()


@pytest.mark.parametrize("after", [None, 0, 100_000, 10 * MEGABYTE])
async def test_a_stalled_answer_goes_on_when_released(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str, after: int | None
):
    fault = Fault.stall(after)
    api.faults.once("download", fault)
    download = asyncio.create_task(client.get(photo_url))

    await asyncio.wait_for(fault.reached.wait(), 30)
    await ask(client, api, photo)  # the others go on
    assert not download.done()
    fault.released.set()

    assert (await asyncio.wait_for(download, 30)).content == PHOTO


async def test_headers_and_the_first_bytes_precede_a_stall(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str
):
    api.faults.once("download", Fault.stall(after=100_000))
    received = bytearray()

    async with client.stream("GET", photo_url, timeout=30) as answer:
        await read(answer, received, 100_000)

    assert received == PHOTO[:100_000]


@pytest.mark.parametrize("after", [None, 10])
async def test_a_stall_ends_when_the_client_leaves(
    client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str, after: int | None
):
    fault = Fault.stall(after)
    api.faults.once("download", fault)
    before = asyncio.all_tasks()
    download = asyncio.create_task(client.get(photo_url))
    await asyncio.wait_for(fault.reached.wait(), 30)
    begun = asyncio.all_tasks() - before

    download.cancel()

    _, pending = await asyncio.wait(begun, timeout=30)
    assert not pending


async def test_a_body_can_be_slow(client: httpx.AsyncClient, api: WhatsAppApi, photo_url: str):
    api.faults.once("download", Fault.slow(MEGABYTE))
    began = time.monotonic()

    answer = await client.get(photo_url)

    assert answer.content == PHOTO
    assert time.monotonic() - began >= 0.9 * len(PHOTO) / MEGABYTE


async def test_the_server_stops_promptly_and_starts_again(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    port = httpx.URL(api.url).port
    assert port
    stalls = [Fault.stall(), Fault.stall(after=10), Fault(bytes_per_second=1, after=0)]
    for fault in stalls:
        api.faults.once("download", fault)
    downloads = [asyncio.create_task(client.get(photo_url, timeout=60)) for _ in stalls]
    for fault in stalls[:2]:
        await asyncio.wait_for(fault.reached.wait(), 30)

    await asyncio.wait_for(api.stop(), 2)

    for outcome in await asyncio.gather(*downloads, return_exceptions=True):
        assert isinstance(outcome, httpx.TransportError)
    with pytest.raises(httpx.ConnectError):
        await ask(client, api, photo)

    await api.start(port)
    assert (await ask(client, api, photo)).status_code == 200
    assert api.downloads == {photo: 3}


# When faults happen


async def test_faults_belong_to_their_route(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    api.faults.always("download", Fault(503))

    assert (await ask(client, api, photo)).status_code == 200
    assert (await client.get(photo_url)).status_code == 503
    assert (await client.get(photo_url)).status_code == 503
    assert api.downloads == {photo: 2}

    api.faults.clear()
    assert (await client.get(photo_url)).status_code == 200


async def test_a_fault_can_be_on_all_routes(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    api.faults.once("*", Fault(500), times=2)

    assert (await ask(client, api, photo)).status_code == 500
    assert (await client.get(photo_url)).status_code == 500
    assert (await client.get(photo_url)).status_code == 200


def test_scripted_faults_come_first_and_in_order():
    real, first, other, random_one, standing = (Fault(status) for status in (200, 1, 2, 3, 4))
    faults = Faults()
    faults.always("*", standing)
    faults.once("*", other)
    faults.once("download", first)
    faults.once("download", real)

    assert [faults.take("download") for _ in range(4)] == [first, real, other, standing]
    faults.randomly("download", random_one, 1)
    assert faults.take("download") == random_one
    assert faults.take("metadata") == standing
    faults.always("metadata", first)
    assert faults.take("metadata") == first
    faults.clear()
    assert faults.take("download") is None


def test_random_faults_repeat_with_their_seed():
    def outcomes(seed: int) -> list[bool]:
        faults = Faults(random.Random(seed))  # noqa: S311 - not for secrets
        faults.randomly("*", Fault(500), 0.3)
        return [faults.take("download") is not None for _ in range(1000)]

    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)
    assert 200 < sum(outcomes(1)) < 400


# Whose the token is


async def test_the_owner_of_the_token_and_its_numbers(client: httpx.AsyncClient, api: WhatsAppApi):
    api.add_phone_number("106540352242922", "Example GmbH")

    me = await ask(client, api, "me", fields="id,name")
    number = await ask(client, api, "106540352242922")
    foreign = await ask(client, api, "106540352242923")

    assert me.json() == {"name": "sandbox system user", "id": "122100000000000001"}
    assert number.json() == {"verified_name": "Example GmbH", "id": "106540352242922"}
    assert error_of(foreign)["code"] == 100
    for node in ("me", "106540352242922"):
        answer = await client.get(f"{api.url}/{node}", headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code, error_of(answer)["code"]) == (401, 190)
    assert api.refused == 3
