"""The WhatsApp Business Cloud API: what a media id stands for, and its bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from poller.http import (
    NETWORK_ERRORS,
    ProviderError,
    first_bytes,
    json_object,
    longest,
    network_code,
    retry_after,
)
from poller.records import Failure
from poller.redaction import Redactor
from poller.text import describe_error, plain

TOKEN_HOSTS = ("graph.facebook.com",)
TOKEN_DOMAINS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net")
DESCRIPTION_BYTES = 65_536
"""More of an answer that is not a file is not read."""
MOST_DIGITS = 18
"""Of a size that still fits a bigint."""


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
        self._redact = Redactor([token.get_secret_value()])
        self._phone_id = phone_id
        self._timeout = timeout

    async def describe(self, media_id: str, phone_number_id: str | None) -> Source:
        """What the media id stands for, with a URL that lives five minutes."""
        phone = phone_number_id or self._phone_id
        url = self._media_url(media_id)
        try:
            async with (
                asyncio.timeout(longest(self._timeout, DESCRIPTION_BYTES)),
                self._get(url, {"phone_number_id": phone} if phone else {}) as response,
            ):
                body = json_object(await first_bytes(response, DESCRIPTION_BYTES))
        except NETWORK_ERRORS as error:
            raise _network_failure(error, self._redact) from error
        file_url = body.get("url")
        if not isinstance(file_url, str):
            raise ProviderError(Failure("whatsapp", "the answer has no url", http_status=200))
        return Source(
            url=file_url,
            mime_type=_text(body.get("mime_type")),
            file_size=_size(body.get("file_size")),
            sha256=_text(body.get("sha256")),
        )

    async def identify(self) -> str:
        """Who the token stands for: the number WHATSAPP_PHONE_ID, or its owner. One cheap request.

        `GET /{phone number id}` and `GET /me` of the Graph API, which any valid token may ask.
        """
        url = self._media_url(self._phone_id or "me")
        fields = "id,verified_name" if self._phone_id else "id,name"
        try:
            async with (
                asyncio.timeout(longest(self._timeout, DESCRIPTION_BYTES)),
                self._get(url, {"fields": fields}) as response,
            ):
                body = json_object(await first_bytes(response, DESCRIPTION_BYTES))
        except NETWORK_ERRORS as error:
            raise _network_failure(error, self._redact) from error
        if not isinstance(body.get("id"), str):
            text = "the answer is none of the Graph API: see WHATSAPP_API_URL"
            raise ProviderError(Failure("whatsapp", text, http_status=200))
        return self._redact(plain(body.get("verified_name") or body.get("name") or body["id"]))

    async def download(self, url: str, max_bytes: int, write: Callable[[bytes], object]) -> None:
        """Write the bytes behind a URL in pieces, cut off one byte past `max_bytes`."""
        file_url = self._file_url(url)
        received = 0
        try:
            async with (
                asyncio.timeout(longest(self._timeout, max_bytes)),
                self._get(file_url, {}) as response,
            ):
                announced = response.headers.get("content-length")
                async for piece in response.aiter_raw():
                    received += len(piece)
                    if received > max_bytes:
                        write(piece[: len(piece) - (received - max_bytes - 1)])
                        return
                    write(piece)
        except ProviderError as error:
            if error.failure.provider_code == "unreachable":  # the host of one file, not the API
                raise ProviderError(replace(error.failure, provider_code="network")) from error
            raise
        except NETWORK_ERRORS as error:
            raise _network_failure(error, self._redact) from error
        if announced is not None and int(announced) != received:
            text = f"{received} of {announced} bytes received"
            raise ProviderError(Failure("whatsapp", text, provider_code="truncated"))

    def trusts(self, url: str) -> bool:
        """May this URL be asked with the token?"""
        try:
            self._file_url(url)
        except ProviderError:
            return False
        return True

    def _get(self, url: httpx.URL, parameters: dict[str, str]) -> _Answer:
        request = self._client.build_request(
            "GET",
            url.copy_merge_params(parameters) if parameters else url,
            headers={
                "Authorization": f"Bearer {self._token.get_secret_value()}",
                "Accept-Encoding": "identity",
            },
        )
        return _Answer(self._client, request, self._redact)

    def _media_url(self, media_id: str) -> httpx.URL:
        """The media id as one segment below the API, whatever it is made of."""
        if media_id in {"", ".", ".."}:
            raise _unsafe(f"media id {media_id!r} names no file")
        return httpx.URL(f"{self._api_url}/{quote(media_id, safe='')}")

    def _file_url(self, text: str) -> httpx.URL:
        """The URL, if its host may get the token."""
        try:
            url, api = httpx.URL(text), httpx.URL(self._api_url)
            host = url.host  # decodes punycode, which may be none
        except (httpx.InvalidURL, UnicodeError):
            raise _unsafe("the url of the file is none") from None
        if url.userinfo:
            raise _unsafe("the url of the file has a user in it")
        if (url.scheme, url.netloc) == (api.scheme, api.netloc):
            return url
        if url.scheme != "https":
            raise _unsafe(f"the url of the file begins with {plain(url.scheme)}, not https")
        if host not in TOKEN_HOSTS and not host.endswith(TOKEN_DOMAINS):
            raise _unsafe(f"host {plain(host)} may not get the token")
        return url


class _Answer:
    """A streamed response that is a success, or a ProviderError, which says nothing of the token.

    Of a malformed one Meta's message quotes the whole.
    """

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, redact: Redactor) -> None:
        self._client = client
        self._request = request
        self._redact = redact
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        try:
            self._response = await self._client.send(self._request, stream=True)
            if self._response.is_success:
                return self._response
        except NETWORK_ERRORS as error:
            raise _network_failure(error, self._redact) from error
        body = b""
        try:
            with contextlib.suppress(*NETWORK_ERRORS):  # a refusal even without a text
                body = await first_bytes(self._response, DESCRIPTION_BYTES)
        except asyncio.CancelledError:  # a time limit, above all
            await self._close()
            raise
        await self._close()
        raise ProviderError(_refusal(self._response, self._redact.answer(body)))

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._response is not None:
            await self._response.aclose()


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


def _unsafe(text: str) -> ProviderError:
    return ProviderError(Failure("whatsapp", text[:500], provider_code="unsafe_url"))


def _network_failure(error: BaseException, redact: Redactor) -> ProviderError:
    text = redact(describe_error(error))
    return ProviderError(Failure("whatsapp", text, provider_code=network_code(error)))


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str | int) else None


def _size(value: object) -> int | None:
    """A size in bytes; Meta sends a number or a string of digits."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None
