"""What a poller works with, in this process, and with other keys and URLs of Storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from poller.config import Settings
from poller.db import Database
from poller.http import open_session
from poller.inspector import Inspector
from poller.pipeline import Pipeline
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from poller.storage import Storage
from poller.whatsapp import WhatsApp
from tests.storage.rows import Row

MakePipeline = Callable[..., Awaitable[Pipeline]]


@pytest.fixture
async def pipeline(
    settings: Settings, whatsapp: WhatsAppApi, storage: StorageApi, buckets: None
) -> AsyncIterator[MakePipeline]:
    """Build what a poller works with: the key and the URL of Storage can be others."""
    del buckets
    database = await Database.connect(settings.database_url.get_secret_value(), "in-process", 4)

    async def build(
        row: Row | None = None, inspector: Inspector | None = None, encoder: Inspector | None = None
    ) -> Pipeline:
        key = storage.service_key
        if row and row.key:
            key = {
                "anon": storage.anon_key,
                "foreign": storage.make_key(
                    "service_role", secret="another of 32 characters, or more"
                ),
                "expired": storage.make_key("service_role", expires_in=-60),
                "malformed": "malformed",
            }[row.key]
        url = (row.url if row and row.url else storage.url).format(port=free_port())
        token = SecretStr(whatsapp.token)
        return Pipeline(
            database=database,
            whatsapp=WhatsApp(session, whatsapp.url, token, None, 5),
            storage=Storage(session, url, SecretStr(key), 1),
            inspector=inspector or children,
            encoder=encoder or children,
            spool_memory_bytes=100_000,
            spool_folder=None,
        )

    async with (
        open_session({"127.0.0.1", "no-such-host.invalid"}, 1, 8) as session,
        Inspector(children=1, seconds=20, memory_bytes=1 << 30) as children,
    ):
        yield build
    await database.close()
