"""The WhatsApp Business Cloud API: what a media id stands for, and its bytes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr
from yarl import URL

from poller.http import (
    NETWORK_ERRORS,
    ProviderError,
    first_bytes,
    is_success,
    json_object,
    longest,
    network_code,
    pieces_of,
    put_off,
    refusal_text,
    retry_after,
)
from poller.records import Failure
from poller.redaction import Redactor
from poller.text import describe_error, plain

TOKEN_HOSTS = ("graph.facebook.com",)
TOKEN_DOMAINS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net")
NAME_OF_A_HOST = re.compile("[a-z0-9.-]+")
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
        session: aiohttp.ClientSession,
        api_url: str,
        token: SecretStr,
        phone_id: str | None,
        timeout: float,
    ) -> None:
        self._session = session
        self._api_url = api_url
        self._api_origin = URL(api_url).origin()
        self._token = token
        self._redact = Redactor([token.get_secret_value()])
        self._phone_id = phone_id
        self._timeout = timeout

    async def describe(self, media_id: str, phone_number_id: str | None) -> Source:
        """What the media id stands for, with a URL that lives five minutes."""
        phone = phone_number_id or self._phone_id
        body = await self._ask(media_id, {"phone_number_id": phone} if phone else {})
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
        fields = "id,verified_name" if self._phone_id else "id,name"
        body = await self._ask(self._phone_id or "me", {"fields": fields})
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
                self._get(file_url, max_bytes) as response,
                contextlib.aclosing(pieces_of(response, self._timeout)) as pieces,
            ):
                announced = response.headers.get("Content-Length")
                async for piece in pieces:
                    received += len(piece)
                    if received > max_bytes:
                        write(piece[: len(piece) - (received - max_bytes - 1)])
                        return
                    write(piece)
        except NETWORK_ERRORS as error:  # never "unreachable": the host of one file is not the API
            raise _network_failure(error, "network", self._redact) from error
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

    async def _ask(self, node: str, parameters: dict[str, str]) -> dict[str, Any]:
        """The JSON object that the API has for one of its nodes, such as a media id."""
        url = self._node_url(node).with_query(parameters)
        try:
            async with self._get(url, DESCRIPTION_BYTES) as response:
                return json_object(await first_bytes(response, DESCRIPTION_BYTES, self._timeout))
        except NETWORK_ERRORS as error:
            raise _network_failure(error, network_code(error), self._redact) from error

    @contextlib.asynccontextmanager
    async def _get(self, url: URL, most_bytes: int) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer that is a success, its body yet to be read, within the time for so many bytes.

        Else raises ProviderError, which has no token: of a malformed one Meta quotes the whole.
        """
        token = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        async with (
            asyncio.timeout(longest(self._timeout, most_bytes)) as end,
            self._session.get(url, headers=token, allow_redirects=False) as response,
        ):
            if is_success(response):
                yield response
                return
            put_off(end, None)
            body = await refusal_text(response, DESCRIPTION_BYTES)
            raise ProviderError(_refusal(response, self._redact.answer(body)))

    def _node_url(self, node: str) -> URL:
        """The node as one segment below the API, whatever it is made of."""
        if node in {"", ".", ".."}:
            raise _unsafe(f"media id {node!r} names no file")
        return URL(f"{self._api_url}/{quote(node, safe='')}")

    def _file_url(self, text: str) -> URL:
        """The URL, if its host may get the token."""
        try:
            if not text.isprintable():
                raise ValueError(text)  # noqa: TRY301
            # asked as it came, where it can be: what is signed may be the text itself
            url = URL(text, encoded=text.isascii() and " " not in text)
            host = url.host or ""  # decodes punycode, which may be none
        except ValueError:
            raise _unsafe("the url of the file is none") from None
        if url.raw_user is not None or url.raw_password is not None:
            raise _unsafe("the url of the file has a user in it")
        if url.absolute and url.scheme and url.origin() == self._api_origin:
            return url
        if url.scheme != "https":
            raise _unsafe(f"the url of the file begins with {plain(url.scheme)}, not https")
        allowed = host in TOKEN_HOSTS or host.endswith(TOKEN_DOMAINS)
        if not allowed or not NAME_OF_A_HOST.fullmatch(host):
            raise _unsafe(f"host {plain(host)} may not get the token")
        return url


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> Failure:
    """A Graph error by its code; anything else by its HTTP status."""
    error: Any = json_object(body).get("error")
    code, message = None, f"HTTP {response.status}"
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        code = _text(fields.get("code"))
        message = _text(fields.get("message")) or message
    return Failure(
        "whatsapp",
        message[:500],
        provider_code=code,
        http_status=response.status,
        retry_after=retry_after(response.headers),
    )


def _unsafe(text: str) -> ProviderError:
    return ProviderError(Failure("whatsapp", text[:500], provider_code="unsafe_url"))


def _network_failure(error: BaseException, code: str, redact: Redactor) -> ProviderError:
    text = redact(describe_error(error))
    return ProviderError(Failure("whatsapp", text, provider_code=code))


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str | int) else None


def _size(value: object) -> int | None:
    """A size in bytes; Meta sends a number or a string of digits."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None
