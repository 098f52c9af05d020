"""The `supabase` client of Storage, and its failures in words for the operator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError
from supabase import AsyncClientOptions, acreate_client

from poller.config import Settings
from poller.errors import OperatorError
from poller.http import NO_CONNECTION, ProviderError
from poller.records import Failure
from poller.redaction import Redactor
from poller.service_key import judge_service_key
from poller.storage import ANSWER_BYTES
from poller.text import plain

FOREIGN = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What the client raises on answers that are no JSON, or other JSON than was asked for."""
NOT_FOUND = {"404", 404}


class SupabaseError(OperatorError):
    """Storage refused or did not answer. The message shows no key."""


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncGenerator[AsyncStorageClient]:
    """The client, with the service key. What Storage does not do in the block is a SupabaseError.

    So is a key that cannot be the right one. SUPABASE_URL and SUPABASE_SERVICE_KEY must be set.
    """
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    where = f"storage at {settings.supabase_url}"
    key = settings.supabase_service_key.get_secret_value()
    if problem := judge_service_key(key):
        raise SupabaseError(f"the storage key is {problem}")
    async with httpx.AsyncClient(
        timeout=settings.pgmedia_timeout_seconds,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [partial(_bound, Redactor([key]))]},
    ) as http:
        try:
            options = AsyncClientOptions(httpx_client=http)
            supabase = await acreate_client(settings.supabase_url, key, options=options)
            yield supabase.storage
        except StorageApiError as error:
            raise SupabaseError(f"{where} {describe_refusal(error)}") from None
        except ProviderError as error:
            raise SupabaseError(f"{where} {describe_failure(error.failure)}") from None
        except httpx.HTTPError as error:
            raise SupabaseError(f"{where} did not answer: {type(error).__name__}") from None
        except FOREIGN:
            raise SupabaseError(f"{where} gave an answer that is none of Supabase's") from None


async def _bound(redact: Redactor, response: httpx.Response) -> None:
    """Read no more of an answer than one of Storage's can have, and as it came: unasked, no
    compression is undone. It may quote the key, and what is said of it must not."""
    response.headers.pop("Content-Encoding", None)
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101
    response.stream = _Bounded(response.stream, redact)


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = bytearray()
        async for piece in self._stream:
            body += piece
            if len(body) > ANSWER_BYTES:
                raise ValueError(len(body))
        yield self._redact.answer(bytes(body))

    async def aclose(self) -> None:
        await self._stream.aclose()


def describe_failure(failure: Failure) -> str:
    """What Storage said to a direct call, as `describe_refusal` has it."""
    if failure.provider_code in NO_CONNECTION:
        return f"did not answer: {failure.text}"
    if failure.provider_code is None:
        return f"answered {failure.text}"
    return f"refused: {failure.text} ({failure.provider_code})"


def describe_refusal(error: StorageApiError) -> str:
    """What Storage said, or the HTTP status of a proxy's page."""
    if isinstance(error.status, int):  # the body was not Storage's
        return f"answered HTTP {error.status}"
    return f"refused: {plain(error.message)} ({plain(error.code)})"
