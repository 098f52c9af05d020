"""Requests to a server that may be any: of what it answers no more is read than can be of use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr

from poller.http import first_bytes, json_object
from poller.redaction import Redactor
from poller.storage import ANSWER_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, headers, and the first ANSWER_BYTES of the body, without the key."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refusal(self) -> dict[str, object]:
        """What Storage says of an error; empty when it is not Storage that speaks."""
        return {} if self.is_success else json_object(self.body)

    @property
    def code(self) -> str:
        """The status in the body, as Storage means it, or else that of HTTP."""
        return str(self.refusal.get("statusCode") or self.status)


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    seconds: float,
    *,
    key: SecretStr | None = None,
    content: bytes | None = None,
    content_type: str | None = None,
) -> Answer:
    """Ask with this key, or without any. Raises NETWORK_ERRORS."""
    headers: dict[str, str] = {}
    redact = Redactor([] if key is None else [key.get_secret_value()])
    if content_type is not None:
        headers["Content-Type"] = content_type
    if key is not None:
        secret = key.get_secret_value()
        headers |= {"Authorization": f"Bearer {secret}", "apikey": secret}
    async with (
        asyncio.timeout(seconds),
        session.request(
            method, url, headers=headers, data=content, allow_redirects=False
        ) as response,
    ):
        body = redact.answer(await first_bytes(response, ANSWER_BYTES, seconds))
        return Answer(response.status, response.headers, body)
