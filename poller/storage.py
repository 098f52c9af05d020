"""Supabase Storage: upload a file, remove files. The hot path goes over HTTP directly, streamed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Sequence

import httpx
from pydantic import SecretStr

from poller.http import (
    NETWORK_ERRORS,
    ProviderError,
    describe_error,
    json_object,
    longest,
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
        self._object_url = f"{project_url}/storage/v1/object"
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
        await self._call("POST", f"/{bucket}/{path}", size, headers=headers, content=content)

    async def remove(self, bucket: str, paths: Sequence[str]) -> None:
        """Remove up to REMOVE_AT_MOST files; those that are not there count as removed."""
        await self._call("DELETE", f"/{bucket}", 0, json={"prefixes": list(paths)})

    async def _call(
        self,
        method: str,
        path: str,
        size: int,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        json: object = None,
    ) -> None:
        key = self._key.get_secret_value()
        try:
            async with asyncio.timeout(longest(self._timeout, size)):
                response = await self._client.request(
                    method,
                    self._object_url + path,
                    headers={"Authorization": f"Bearer {key}", "apikey": key, **(headers or {})},
                    content=content,
                    json=json,
                )
        except NETWORK_ERRORS as error:
            failure = Failure("storage", describe_error(error), provider_code="network")
            raise ProviderError(failure) from error
        if not response.is_success:
            raise ProviderError(_refusal(response))


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
