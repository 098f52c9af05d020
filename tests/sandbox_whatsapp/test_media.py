"""The stand-in for WhatsApp: metadata, downloads, what it remembers."""

import asyncio
import hashlib
import logging
import re
import tracemalloc
from pathlib import Path

import httpx
import pytest

from poller.sandbox.whatsapp import WhatsAppApi
from tests.sandbox_whatsapp.conftest import MEGABYTE, PHOTO, ask, error_of, url_of

# What the metadata says


async def test_metadata_has_the_documented_fields(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str
):
    answer = await ask(client, api, photo)

    assert answer.status_code == 200
    assert photo.isdigit()
    url = answer.json().pop("url")
    assert answer.json() == {
        "messaging_product": "whatsapp",
        "url": url,
        "mime_type": "image/jpeg",
        "sha256": hashlib.sha256(PHOTO).hexdigest(),
        "file_size": len(PHOTO),
        "id": photo,
    }
    origin = api.url.removesuffix("/v23.0")
    path = r"/whatsapp_business/attachments/\?mid=\d+&ext=\d+&hash=[\w-]+"
    assert re.fullmatch(re.escape(origin) + path, url)


async def test_the_size_can_be_a_string(client: httpx.AsyncClient, api: WhatsAppApi, photo: str):
    api.file_size_as_text = True

    answer = await ask(client, api, photo)

    assert answer.json()["file_size"] == str(len(PHOTO))


async def test_the_api_can_lie(client: httpx.AsyncClient, api: WhatsAppApi):
    media_id = api.add_media(PHOTO, "image/png", media_id="42", sha256="00" * 32, file_size=7)

    answer = await ask(client, api, "42")

    assert media_id == "42"
    assert answer.json()["sha256"] == "00" * 32
    assert answer.json()["file_size"] == 7


async def test_a_number_may_ask_for_its_own_media_only(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str
):
    owned = api.add_media(PHOTO, "image/jpeg", phone_number_id="111")

    assert (await ask(client, api, owned)).status_code == 200
    assert (await ask(client, api, owned, phone_number_id="111")).status_code == 200
    assert (await ask(client, api, photo, phone_number_id="222")).status_code == 200
    foreign = await ask(client, api, owned, phone_number_id="222")

    assert foreign.status_code == 400
    assert error_of(foreign)["code"] == 100


# What it refuses


async def test_unknown_and_expired_ids_look_the_same(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str
):
    api.expire_media(photo)

    for media_id in (photo, "12345"):
        answer = await ask(client, api, media_id)
        error = error_of(answer)
        assert answer.status_code == 400
        assert (error["code"], error["error_subcode"]) == (100, 33)
        assert error["type"] == "GraphMethodException"
        assert media_id in error["message"]
        assert error["fbtrace_id"]
    assert api.refused == 2


@pytest.mark.parametrize("authorization", [None, "", "Bearer wrong", "sandbox-whatsapp-token"])
async def test_a_bad_token_is_refused_everywhere(
    client: httpx.AsyncClient,
    api: WhatsAppApi,
    photo: str,
    photo_url: str,
    authorization: str | None,
):
    del client.headers["Authorization"]
    if authorization is not None:
        client.headers["Authorization"] = authorization

    for answer in (await ask(client, api, photo), await client.get(photo_url)):
        assert answer.status_code == 401
        assert error_of(answer)["code"] == 190
        assert error_of(answer)["type"] == "OAuthException"
    assert api.refused == 2
    assert not api.downloads


async def test_the_token_can_be_chosen():
    async with WhatsAppApi("another") as api, httpx.AsyncClient(trust_env=False) as client:
        media_id = api.add_media(PHOTO, "image/jpeg")
        headers = {"Authorization": "Bearer another"}

        answer = await client.get(f"{api.url}/{media_id}", headers=headers)

    assert answer.status_code == 200


# Downloads


async def test_a_download_brings_the_bytes(client: httpx.AsyncClient, photo_url: str):
    answer = await client.get(photo_url)

    assert answer.status_code == 200
    assert answer.content == PHOTO
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Length"] == str(len(PHOTO))


async def test_a_mime_type_may_have_parameters(client: httpx.AsyncClient, api: WhatsAppApi):
    voice = api.add_media(b"OggS", "audio/ogg; codecs=opus")

    answer = await client.get(await url_of(client, api, voice))

    assert answer.headers["Content-Type"] == "audio/ogg; codecs=opus"


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1])
async def test_generated_and_stored_bodies_are_whole(
    client: httpx.AsyncClient, api: WhatsAppApi, tmp_path: Path, size: int
):
    path = tmp_path / "file"
    path.write_bytes((PHOTO + b"!")[-size:] if size else b"")

    zeros = await client.get(await url_of(client, api, api.add_media(size, "video/mp4")))
    stored = await client.get(await url_of(client, api, api.add_media(path, "video/mp4")))

    assert zeros.content == bytes(size)
    assert stored.content == path.read_bytes()


@pytest.mark.parametrize("source", ["generated", "file"])
async def test_large_files_are_not_held_in_memory(
    client: httpx.AsyncClient, api: WhatsAppApi, tmp_path: Path, source: str
):
    size = 60 * MEGABYTE
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(size)

    tracemalloc.start()
    try:
        film = api.add_media(size if source == "generated" else path, "video/mp4")
        metadata = (await ask(client, api, film)).json()
        digest = hashlib.sha256()
        async with client.stream("GET", metadata["url"]) as answer:
            async for piece in answer.aiter_bytes():
                digest.update(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert metadata["file_size"] == size
    assert digest.hexdigest() == metadata["sha256"]
    assert peak < 10 * MEGABYTE


@pytest.mark.parametrize("agent", [None, ""])
async def test_a_download_needs_a_user_agent(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str, agent: str | None
):
    del client.headers["User-Agent"]
    if agent is not None:
        client.headers["User-Agent"] = agent

    assert (await client.get(photo_url)).status_code == 400
    assert not api.downloads
    assert (await ask(client, api, photo)).status_code == 200


async def test_urls_expire_on_demand(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    api.expire_urls()

    answer = await client.get(photo_url)
    fresh = await client.get(await url_of(client, api, photo))

    assert answer.status_code == 404
    assert answer.text.startswith("<!DOCTYPE html>")
    assert fresh.content == PHOTO
    assert api.refused == 1


async def test_urls_expire_with_time(client: httpx.AsyncClient, api: WhatsAppApi, photo: str):
    lasting = await url_of(client, api, photo)
    api.url_lifetime = 0
    ended = await url_of(client, api, photo)

    assert (await client.get(ended)).status_code == 404
    assert (await client.get(lasting)).status_code == 200


async def test_a_made_up_url_is_not_found(client: httpx.AsyncClient, photo_url: str):
    for url in (photo_url + "x", photo_url.partition("?")[0]):
        assert (await client.get(url)).status_code == 404


async def test_a_url_outlives_its_media_id(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    api.expire_media(photo)

    assert (await client.get(photo_url)).content == PHOTO


# What it remembers


async def test_requests_are_counted_and_kept_without_the_token(
    client: httpx.AsyncClient,
    api: WhatsAppApi,
    photo: str,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)  # before the first connection
    photo_url = await url_of(client, api, photo)
    await ask(client, api, "999", phone_number_id="5")
    await client.get(photo_url)
    await client.get(photo_url)

    assert api.metadata_requests == {photo: 1, "999": 1}
    assert api.downloads == {photo: 2}
    assert api.refused == 1
    assert [request.method for request in api.requests] == ["GET"] * 4
    assert api.requests[1].path == "/v23.0/999?phone_number_id=5"
    assert api.requests[1].headers["user-agent"] == "a test"
    assert api.token not in repr(api.requests) + caplog.text
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]


async def test_a_download_can_be_waited_for(
    client: httpx.AsyncClient, api: WhatsAppApi, photo: str, photo_url: str
):
    waiting = asyncio.create_task(api.wait_for_download(photo))
    await ask(client, api, photo)
    assert not waiting.done()

    await client.get(photo_url)

    await asyncio.wait_for(waiting, 30)
    await asyncio.wait_for(api.wait_for_download(photo), 30)
