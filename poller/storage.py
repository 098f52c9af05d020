"""Supabase Storage: upload a file, remove files. The hot path goes over HTTP directly, streamed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Sequence
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from poller.http import (
    NETWORK_ERRORS,
    ProviderError,
    describe_error,
    json_list,
    json_object,
    longest,
    network_code,
    plain,
    retry_after,
)
from poller.records import Failure

REMOVE_AT_MOST = 1000
"""Names that one call may remove."""
HTTP_STATUS = re.compile("[1-5][0-9][0-9]")


class Storage:
    """A client of the object endpoints, with the service key. Raises ProviderError."""

    def __init__(
        self, client: httpx.AsyncClient, project_url: str, key: SecretStr, timeout: float
    ) -> None:
        self._client = client
        self._url = f"{project_url}/storage/v1"
        self._key = key
        self._timeout = timeout

    async def upload(
        self,
        bucket: str,
        path: str,
        content: bytes | AsyncIterable[bytes],
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
        place = f"/object/{quote(bucket, safe='')}/{quote(path)}"
        answer = await self._call("POST", place, size, headers=headers, content=content)
        if not isinstance(json_object(answer.content).get("Key"), str):
            raise ProviderError(_foreign(answer))

    async def remove(self, bucket: str, paths: Sequence[str]) -> None:
        """Remove up to REMOVE_AT_MOST files; those that are not there count as removed.

        To a key that may not remove, Storage answers as if they were not there. So when it has not
        removed all of them, it is asked for its buckets, of which such a key sees none.
        """
        place = f"/object/{quote(bucket, safe='')}"
        answer = await self._call("DELETE", place, 0, json={"prefixes": list(paths)})
        removed = json_list(answer.content)
        if removed is None:
            raise ProviderError(_foreign(answer))
        if len(removed) < len(set(paths)):
            answer = await self._call("GET", "/bucket", 0)
            if not json_list(answer.content):
                text = "the key sees no bucket: there is none, or it is not service_role's"
                raise ProviderError(Failure("storage", text, http_status=403))

    async def _call(
        self,
        method: str,
        path: str,
        size: int,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        json: object = None,
    ) -> httpx.Response:
        key = self._key.get_secret_value()
        try:
            async with asyncio.timeout(longest(self._timeout, size)):
                response = await self._client.request(
                    method,
                    self._url + path,
                    headers={"Authorization": f"Bearer {key}", "apikey": key, **(headers or {})},
                    content=content,
                    json=json,
                )
        except NETWORK_ERRORS as error:
            failure = Failure("storage", describe_error(error), provider_code=network_code(error))
            raise ProviderError(failure) from error
        if not response.is_success:
            raise ProviderError(_refusal(response))
        return response


def _refusal(response: httpx.Response) -> Failure:
    """The status in the body decides; Storage answers almost everything with HTTP 400."""
    body = json_object(response.content)
    status = str(body.get("statusCode", ""))
    return Failure(
        "storage",
        plain(body.get("message") or f"HTTP {response.status_code}")[:500],
        provider_code=plain(body["code"])[:100] if body.get("code") else None,
        http_status=int(status) if HTTP_STATUS.fullmatch(status) else response.status_code,
        retry_after=retry_after(response),
    )


def _foreign(response: httpx.Response) -> Failure:
    """A success that Storage would not report so: another server, or a proxy's page."""
    text = f"HTTP {response.status_code} with an answer that is none of Supabase Storage's"
    return Failure("storage", text, http_status=response.status_code)
