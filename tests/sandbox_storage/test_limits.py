"""The Supabase Storage of the sandbox, asked over HTTP: limits of size and type."""

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage.conftest import (
    LIMIT,
    MEGABYTE,
    code_of,
    connect,
    in_chunks,
    incoming,
    info_of,
    send_form,
)


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
