"""The HTTP client under both providers, and how their failures become reports for the database."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import errno
import ipaddress
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any, Literal, cast

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from poller import __version__
from poller.records import Failure

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
NO_CONNECTION = {"network", "unreachable"}
"""What `network_code` makes of NETWORK_ERRORS: no code of a provider's own."""
SLOWEST_BYTES_PER_SECOND = 32_768
"""A transfer slower than this over its whole length is given up, so that none lasts for ever."""
SENT_AT_ONCE = 262_144
REFUSAL_SECONDS = 2.0
"""How long the text of a refusal is waited for."""


class ProviderError(Exception):
    """A provider refused or did not answer. `failure` is what the database will be told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only, but for the hosts that were configured.

    A name that WhatsApp hands out must not lead the token into a private network.
    """

    def __init__(self, configured: set[str]) -> None:
        self._configured = configured
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host in self._configured:
            return found
        public = [one for one in found if ipaddress.ip_address(one["host"]).is_global]
        if not public:
            raise OSError(errno.EADDRNOTAVAIL, f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def open_session(
    configured_hosts: set[str], timeout: float, connections: int
) -> aiohttp.ClientSession:
    """Up to so many connections of HTTP/1.1, kept open. They ignore proxies of the environment.

    `timeout`: seconds until a connection is there, and of silence on it. Bodies come as they are
    sent, no cookie is kept. Ask for `allow_redirects=False`. Must be called with an event loop
    running; close it yourself.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            resolver=PublicResolver(configured_hosts),
            ssl=httpx.create_ssl_context(),  # obeys SSL_CERT_FILE and SSL_CERT_DIR
            family=socket.AF_UNSPEC,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": f"pgmedia/{__version__}", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(
            total=None, connect=timeout, sock_connect=timeout, sock_read=timeout
        ),
    )


def is_success(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300


def longest(timeout: float, size: int) -> float:
    """Seconds that a transfer of `size` bytes may take in all."""
    return timeout + size / SLOWEST_BYTES_PER_SECOND


async def pieces_of(response: aiohttp.ClientResponse, silence: float) -> AsyncGenerator[bytes]:
    """A streamed answer as it comes. Raises TimeoutError after so many seconds of silence.

    The timer of aiohttp ends with a body that breaks its framing, and then nobody is told.
    """
    while True:
        async with asyncio.timeout(silence):
            piece = await response.content.readany()
        if not piece:
            return
        yield piece


async def first_bytes(response: aiohttp.ClientResponse, limit: int, silence: float) -> bytes:
    """The first bytes of a streamed answer, as they came; no more is read of it."""
    body = bytearray()
    async with contextlib.aclosing(pieces_of(response, silence)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) >= limit:
                break
    return bytes(body[:limit])


def put_off(end: asyncio.Timeout, until: float | None) -> None:
    """Let a time limit end then, or never, unless it has ended or is over already."""
    with contextlib.suppress(RuntimeError):
        end.reschedule(until)


async def sent_in_pieces(
    content: bytes | bytearray | AsyncIterable[bytes], end: asyncio.Timeout, silence: float
) -> AsyncGenerator[bytes | memoryview]:
    """A body to be sent; `end` comes when nothing more of it is taken for so many seconds.

    aiohttp has no such limit of its own. After the last piece there is none: the answer has one.
    """
    loop = asyncio.get_running_loop()
    async with contextlib.aclosing(_cut(content)) as pieces:
        async for piece in pieces:
            put_off(end, loop.time() + silence)
            yield piece
    put_off(end, None)


async def _cut(
    content: bytes | bytearray | AsyncIterable[bytes],
) -> AsyncGenerator[bytes | memoryview]:
    if isinstance(content, bytes | bytearray):
        for at in range(0, len(content), SENT_AT_ONCE):
            yield memoryview(content)[at : at + SENT_AT_ONCE]
    else:
        async for piece in content:
            yield piece


async def refusal_text(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """What a refusal says, or nothing where that does not come: it is a refusal all the same.

    Let no other time limit end it, or the refusal is lost.
    """
    with contextlib.suppress(*NETWORK_ERRORS):
        async with asyncio.timeout(REFUSAL_SECONDS):
            return await first_bytes(response, limit, REFUSAL_SECONDS)
    return b""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The header Retry-After in seconds, from either of its forms, as it came: SQL judges it.

    A date counts from the answer's own Date, so that no clock of this machine matters.
    """
    value = headers.get("Retry-After", "")
    try:
        if value.isdecimal():
            return float(value)
        until, sent = map(email.utils.parsedate_to_datetime, (value, headers.get("Date", "")))
        return (until - sent).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: one of them has no time zone
        return None


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; empty for anything else, such as a proxy's HTML."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def json_list(body: bytes) -> list[Any] | None:
    """The JSON list in a body; None for anything else."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("list[Any]", value) if isinstance(value, list) else None


def network_code(error: BaseException) -> Literal["unreachable", "network"]:
    """`unreachable` when there was no connection at all, so that nothing was sent."""
    none = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return "unreachable" if isinstance(error, none) else "network"
