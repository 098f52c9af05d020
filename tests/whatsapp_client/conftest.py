"""The client of the WhatsApp Cloud API, over real HTTP, against all that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from poller.http import ProviderError, open_session
from poller.records import Failure
from poller.sandbox.whatsapp import WhatsAppApi
from poller.whatsapp import WhatsApp

TIMEOUT = 5.0
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300_000)


@pytest.fixture
async def http(whatsapp: WhatsAppApi) -> AsyncIterator[aiohttp.ClientSession]:
    del whatsapp
    async with open_session({"127.0.0.1"}, TIMEOUT, 4) as session:
        yield session


@pytest.fixture
def api(http: aiohttp.ClientSession, whatsapp: WhatsAppApi) -> WhatsApp:
    return WhatsApp(http, whatsapp.url, SecretStr(whatsapp.token), None, TIMEOUT)


@pytest.fixture
async def impatient(whatsapp: WhatsAppApi) -> AsyncIterator[WhatsApp]:
    """A client that bears 0.2 seconds of silence."""
    async with open_session({"127.0.0.1"}, 0.2, 4) as session:
        yield WhatsApp(session, whatsapp.url, SecretStr(whatsapp.token), None, 0.2)


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


Answerer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
AnyWhere = Callable[[Answerer], AbstractAsyncContextManager[tuple[WhatsApp, str]]]


@pytest.fixture
def impatient_at() -> AnyWhere:
    """A client that bears 0.2 seconds of silence, and the URL of a server that answers so."""

    @asynccontextmanager
    async def serve(answer: Answerer) -> AsyncGenerator[tuple[WhatsApp, str]]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with open_session({"127.0.0.1"}, 0.2, 4) as session:
                yield WhatsApp(session, url, SecretStr("token"), None, 0.2), url

    return serve
