"""The `supabase` client of Storage, and its failures in words for the operator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError
from supabase import AsyncClientOptions, acreate_client

from poller.config import Settings
from poller.http import plain

NOT_FOUND = {"404", 404}


class SupabaseError(Exception):
    """Storage refused or did not answer. The message is for the operator, and shows no key."""


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncGenerator[AsyncStorageClient]:
    """The client, with the service key. What Storage does not do in the block is a SupabaseError.

    SUPABASE_URL and SUPABASE_SERVICE_KEY must be set.
    """
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    where = f"storage at {settings.supabase_url}"
    async with httpx.AsyncClient(timeout=settings.pgmedia_timeout_seconds) as http:
        try:
            supabase = await acreate_client(
                settings.supabase_url,
                settings.supabase_service_key.get_secret_value(),
                options=AsyncClientOptions(httpx_client=http),
            )
            yield supabase.storage
        except StorageApiError as error:
            raise SupabaseError(f"{where} {describe_refusal(error)}") from None
        except httpx.HTTPError as error:
            raise SupabaseError(f"{where} did not answer: {type(error).__name__}") from None
        except (ValueError, TypeError):  # no JSON, or not what was asked for
            raise SupabaseError(f"{where} gave an answer that is none of Supabase's") from None


def describe_refusal(error: StorageApiError) -> str:
    """What Storage said, or the HTTP status of a proxy's page."""
    if isinstance(error.status, int):  # the body was not Storage's
        return f"answered HTTP {error.status}"
    return f"refused: {plain(error.message)} ({plain(error.code)})"
