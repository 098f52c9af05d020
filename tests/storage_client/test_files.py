"""The client of Supabase Storage: what it stores."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from poller.content import Spool
from poller.sandbox.storage import StorageApi
from poller.storage import Storage
from tests.storage_client.conftest import (
    PATH,
    PNG,
    TIMEOUT,
    authorized,
    upload,
)


async def test_a_file_is_stored(
    api: Storage, storage: StorageApi, http: aiohttp.ClientSession, files: Path
) -> None:
    await upload(api, cache_control="max-age=60, immutable")

    assert (files / "media" / PATH).read_bytes() == PNG
    stored = await http.get(
        f"{storage.url}/storage/v1/object/media/{PATH}", headers=authorized(storage)
    )
    assert await stored.read() == PNG
    assert stored.headers["Content-Type"] == "image/png"
    assert stored.headers["cache-control"] == "max-age=60, immutable"


async def test_a_repeated_upload_replaces_the_file(api: Storage, files: Path) -> None:
    await upload(api, b"a part")

    await upload(api)

    assert (files / "media" / PATH).read_bytes() == PNG


async def test_a_big_upload_is_streamed_with_its_length(
    http: aiohttp.ClientSession, tmp_path: Path
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
        assert not isinstance(content, bytes | bytearray)
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
