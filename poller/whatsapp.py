"""The WhatsApp Business Cloud API: what a media id stands for, and its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from poller.db import Failure
from poller.http import (
    NETWORK_ERRORS,
    ProviderError,
    describe_error,
    json_object,
    longest,
    retry_after,
)

TOKEN_HOSTS = ("graph.facebook.com",)
TOKEN_DOMAINS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net")
ERROR_BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Source:
    """What WhatsApp says about a file: `file_size` in bytes, `sha256` in hex, or None."""

    url: str
    mime_type: str | None = None
    file_size: int | None = None
    sha256: str | None = None


class WhatsApp:
    """A client of the media endpoints, raising ProviderError. Only Meta's hosts get the token."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        api_url: str,
        token: SecretStr,
        phone_id: str | None,
        timeout: float,
    ) -> None:
        self._client = client
        self._api_url = api_url
        self._token = token
        self._phone_id = phone_id
        self._timeout = timeout

    async def describe(self, media_id: str, phone_number_id: str | None) -> Source:
        """What the media id stands for, with a URL that lives five minutes."""
        phone = phone_number_id or self._phone_id
        async with self._get(
            httpx.URL(f"{self._api_url}/").join(httpx.URL(path=media_id)),
            {"phone_number_id": phone} if phone else {},
        ) as response:
            body = json_object(await response.aread())
        url = body.get("url")
        if not isinstance(url, str):
            raise ProviderError(Failure("whatsapp", "the answer has no url", http_status=200))
        return Source(
            url=url,
            mime_type=_text(body.get("mime_type")),
            file_size=_size(body.get("file_size")),
            sha256=_text(body.get("sha256")),
        )

    async def download(self, url: str, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """The bytes behind a URL, in pieces, cut off one byte past `max_bytes`."""
        if not self._trusted(url):
            text = f"host {urlsplit(url).hostname} may not get the token"
            raise ProviderError(Failure("whatsapp", text, provider_code="unsafe_url"))
        received = 0
        try:
            async with (
                asyncio.timeout(longest(self._timeout, max_bytes)),
                self._get(httpx.URL(url), {}) as response,
            ):
                announced = response.headers.get("content-length")
                async for piece in response.aiter_raw():
                    received += len(piece)
                    if received > max_bytes:
                        yield piece[: len(piece) - (received - max_bytes - 1)]
                        return
                    yield piece
        except NETWORK_ERRORS as error:
            raise _network_failure(error) from error
        if announced is not None and int(announced) != received:
            text = f"{received} of {announced} bytes received"
            raise ProviderError(Failure("whatsapp", text, provider_code="truncated"))

    def _get(self, url: httpx.URL, parameters: dict[str, str]) -> _Answer:
        request = self._client.build_request(
            "GET",
            url.copy_merge_params(parameters) if parameters else url,
            headers={
                "Authorization": f"Bearer {self._token.get_secret_value()}",
                "Accept-Encoding": "identity",
            },
        )
        return _Answer(self._client, request)

    def _trusted(self, url: str) -> bool:
        parts, api = urlsplit(url), urlsplit(self._api_url)
        if (parts.scheme, parts.netloc) == (api.scheme, api.netloc):
            return True
        host = parts.hostname or ""
        return parts.scheme == "https" and (host in TOKEN_HOSTS or host.endswith(TOKEN_DOMAINS))


class _Answer:
    """A streamed response that is a success, or a ProviderError."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self._client = client
        self._request = request
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        try:
            self._response = await self._client.send(self._request, stream=True)
            if self._response.is_success:
                return self._response
            body = await _first_bytes(self._response, ERROR_BODY_BYTES)
        except NETWORK_ERRORS as error:
            await self._close()
            raise _network_failure(error) from error
        await self._close()
        raise ProviderError(_refusal(self._response, body))

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._response is not None:
            await self._response.aclose()


async def _first_bytes(response: httpx.Response, limit: int) -> bytes:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) >= limit:
            break
    return body[:limit]


def _refusal(response: httpx.Response, body: bytes) -> Failure:
    """A Graph error by its code; anything else by its HTTP status."""
    error: Any = json_object(body).get("error")
    code, message = None, f"HTTP {response.status_code}"
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        code = _text(fields.get("code"))
        message = _text(fields.get("message")) or message
    return Failure(
        "whatsapp",
        message[:500],
        provider_code=code,
        http_status=response.status_code,
        retry_after=retry_after(response),
    )


def _network_failure(error: BaseException) -> ProviderError:
    return ProviderError(Failure("whatsapp", describe_error(error), provider_code="network"))


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _size(value: object) -> int | None:
    """A size in bytes; Meta sends a number or a string of digits."""
    text = str(value)
    return int(text) if text.isdecimal() else None
