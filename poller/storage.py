"""Supabase Storage: upload a file, remove files, ask for one. Over HTTP directly, and streamed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from poller.http import (
    NETWORK_ERRORS,
    NO_CONNECTION,
    SENT_AT_ONCE,
    ProviderError,
    first_bytes,
    is_success,
    json_list,
    json_object,
    longest,
    network_code,
    put_off,
    refusal_text,
    retry_after,
    sent_in_pieces,
)
from poller.records import Failure, StoredFile
from poller.redaction import Redactor
from poller.text import describe_error, plain

REMOVE_AT_MOST = 1000
"""Names that one call may remove."""
ANSWER_BYTES = 8_388_608
"""More of an answer is not read: the rows of as many removed files as one call may name fit in."""
NOT_THERE = {("404", "not_found"), ("400", "InvalidKey")}
"""How storage says that it has no such file, or cannot have one of such a name."""
OF_ALL_FILES = {401, 403, 408, 429}
TOO_LONG = {414, 431}
"""How a gateway says that it does not pass on the URL of a file."""
HTTP_STATUS = re.compile("[1-5][0-9][0-9]")


class PathError(ProviderError):
    """No URL leads to a file of this path, as every client and proxy would shorten it."""

    def __init__(self, bucket: str, path: str) -> None:
        text = f"Invalid key: {plain(bucket)}/{plain(path)}: it has . or .. between its slashes"
        super().__init__(Failure("storage", text[:500], provider_code="InvalidKey"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """A status with its headers, and the first ANSWER_BYTES of the body."""

    response: aiohttp.ClientResponse
    body: bytes


class Storage:
    """A client of the object endpoints, with the service key. Raises ProviderError."""

    def __init__(
        self, session: aiohttp.ClientSession, project_url: str, key: SecretStr, timeout: float
    ) -> None:
        self._session = session
        self._url = f"{project_url}/storage/v1"
        self._key = key
        self._redact = Redactor([key.get_secret_value()])
        self._timeout = timeout

    async def upload(
        self,
        bucket: str,
        path: str,
        content: bytes | bytearray | AsyncIterable[bytes],
        *,
        size: int,
        content_type: str,
        cache_control: str,
    ) -> None:
        """Put a file at a path, over an earlier try of the same content.

        Content-Length is always sent: without it Storage does not enforce the size limit.
        """
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size),
            "Cache-Control": cache_control,
            "x-upsert": "true",
        }
        place = f"/object/{_place(bucket, path)}"
        answer = await self._call("POST", place, size, headers=headers, content=content)
        if not isinstance(json_object(answer.body).get("Key"), str):
            raise ProviderError(_foreign(answer))

    async def info(self, bucket: str, path: str) -> StoredFile:
        """What storage says of the file at a path, also that it is not there."""
        answer = await self._ask("GET", f"/object/info/{_place(bucket, path)}", 0)
        said = json_object(answer.body)
        if is_success(answer.response):
            return _described(bucket, path, said, answer)
        if (str(said.get("statusCode")), said.get("error")) in NOT_THERE:
            return StoredFile(bucket, path, is_there=False)
        raise ProviderError(_refusal(answer))

    async def remove(self, bucket: str, paths: Sequence[str]) -> None:
        """Remove up to REMOVE_AT_MOST files; those that are not there count as removed.

        To a key that may not remove, Storage answers as if they were not there. So when it has not
        removed all of them, it is asked for its buckets, of which such a key sees none.
        """
        place = f"/object/{quote(bucket, safe='')}"
        answer = await self._call("DELETE", place, 0, json={"prefixes": list(paths)})
        removed = json_list(answer.body)
        if removed is None:
            raise ProviderError(_foreign(answer))
        if len(removed) < len(set(paths)):
            answer = await self._call("GET", "/bucket", 0)
            if not json_list(answer.body):
                text = "the key sees no bucket: there is none, or it is not service_role's"
                raise ProviderError(Failure("storage", text, http_status=403))

    async def _call(
        self,
        method: str,
        path: str,
        size: int,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | bytearray | AsyncIterable[bytes] | None = None,
        json: object = None,
    ) -> _Answer:
        answer = await self._ask(method, path, size, headers=headers, content=content, json=json)
        if not is_success(answer.response):
            raise ProviderError(_refusal(answer))
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        size: int,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | bytearray | AsyncIterable[bytes] | None = None,
        json: object = None,
    ) -> _Answer:
        key = self._key.get_secret_value()
        own = {"Authorization": f"Bearer {key}", "apikey": key}
        try:
            async with (
                asyncio.timeout(longest(self._timeout, size)) as end,
                asyncio.timeout(None) as sending,
                self._session.request(
                    method, self._url + path, headers=own | (headers or {}),
                    data=content if content is None or size <= SENT_AT_ONCE
                    else sent_in_pieces(content, sending, self._timeout),
                    json=json, allow_redirects=False,
                ) as response,
            ):  # fmt: skip
                put_off(sending, None)
                if is_success(response):
                    body = await first_bytes(response, ANSWER_BYTES, self._timeout)
                else:
                    put_off(end, None)
                    body = await refusal_text(response, ANSWER_BYTES)
                # a gateway may quote what it refuses, and a refusal's text is kept and shown
                return _Answer(response, self._redact.answer(body))
        except NETWORK_ERRORS as error:
            text = self._redact(describe_error(error))
            failure = Failure("storage", text, provider_code=network_code(error))
            raise ProviderError(failure) from error


def _place(bucket: str, path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise PathError(bucket, path)
    return f"{quote(bucket, safe='')}/{quote(path)}"


def _described(bucket: str, path: str, said: dict[str, Any], answer: _Answer) -> StoredFile:
    try:
        if said.get("name", path) != path:  # a proxy has changed the URL
            raise ValueError  # noqa: TRY301
        return StoredFile.read(
            bucket, path, said["size"], said["content_type"], said["created_at"],
            said["last_modified"],
        )  # fmt: skip
    except (KeyError, ValueError):
        raise ProviderError(_foreign(answer)) from None


def _refusal(answer: _Answer) -> Failure:
    """The status in the body decides; Storage answers almost everything with HTTP 400."""
    response, body = answer.response, json_object(answer.body)
    status = str(body.get("statusCode", ""))
    return Failure(
        "storage",
        plain(body.get("message") or f"HTTP {response.status}")[:500],
        provider_code=plain(body["code"])[:100] if body.get("code") else None,
        http_status=int(status) if HTTP_STATUS.fullmatch(status) else response.status,
        retry_after=retry_after(response.headers),
    )


def _foreign(answer: _Answer) -> Failure:
    """A success that Storage would not report so: another server, or a proxy's page."""
    status = answer.response.status
    text = f"HTTP {status} with an answer that is none of Supabase Storage's"
    return Failure("storage", text, http_status=status)


def is_of_one_file(error: ProviderError) -> bool:
    """Would storage answer for another file? It refused by a code of its own, or the URL."""
    status, code = error.failure.http_status or 0, error.failure.provider_code
    if isinstance(error, PathError) or status in TOO_LONG:
        return True
    of_storage = code is not None and code not in {*NO_CONNECTION, "NoSuchBucket"}
    return of_storage and 400 <= status < 500 and status not in OF_ALL_FILES
