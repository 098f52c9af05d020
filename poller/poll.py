"""`pgmedia poll`: put the poller together, connect, and run it until a signal or until drained."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from urllib.parse import urlsplit

from poller.config import Settings
from poller.db import Database, Listener
from poller.http import open_client
from poller.loop import Poller
from poller.pipeline import Pipeline, persistently
from poller.storage import Storage
from poller.whatsapp import WhatsApp

log = logging.getLogger(__name__)


async def poll(settings: Settings, *, drain: bool) -> None:
    """Run a poller. With `drain` it raises one of DATABASE_AWAY; else it waits for the database."""
    database = await _until_stopped(_connect(settings, drain=drain))
    if database is None:
        return
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    assert settings.whatsapp_token  # noqa: S101
    urls = (settings.whatsapp_api_url, settings.supabase_url)
    hosts = {urlsplit(url).hostname or "" for url in urls}
    timeout = settings.pgmedia_timeout_seconds
    async with open_client(hosts, timeout, 2 * settings.pgmedia_concurrency) as client:
        pipeline = Pipeline(
            database=database,
            whatsapp=WhatsApp(
                client,
                settings.whatsapp_api_url,
                settings.whatsapp_token,
                settings.whatsapp_phone_id,
                timeout,
            ),
            storage=Storage(client, settings.supabase_url, settings.supabase_service_key, timeout),
            spool_memory_bytes=settings.pgmedia_spool_memory_bytes,
            spool_folder=settings.pgmedia_spool_folder,
        )
        poller = Poller(
            pipeline,
            listen=lambda heard: Listener.open(
                settings.database_url.get_secret_value(), database.poller, heard
            ),
            concurrency=settings.pgmedia_concurrency,
            poll_seconds=settings.pgmedia_poll_seconds,
            grace_seconds=settings.pgmedia_grace_seconds,
        )
        _on_signals(poller.stop, poller.stop_now)
        log.info("poller %s: %s at once", database.poller, settings.pgmedia_concurrency)
        try:
            await poller.run(drain=drain)
        finally:
            await database.close()
    log.info("poller %s stopped", database.poller)


async def _connect(settings: Settings, *, drain: bool) -> Database:
    def connect() -> Awaitable[Database]:
        return Database.connect(
            settings.database_url.get_secret_value(),
            settings.pgmedia_poller_name,
            connections=min(8, settings.pgmedia_concurrency + 1),
        )

    return await connect() if drain else await persistently(connect)


async def _until_stopped(connecting: Coroutine[None, None, Database]) -> Database | None:
    """The outcome of connecting, or None when a signal came first."""
    task = asyncio.ensure_future(connecting)
    _on_signals(task.cancel, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None


def _on_signals(first: Callable[[], object], second: Callable[[], object]) -> None:
    """SIGTERM and SIGINT: call `first`, and `second` from the second signal on."""
    received = 0

    def received_one() -> None:
        nonlocal received
        received += 1
        if received == 1:
            log.info("stopping; once more to stop at once")
            first()
        else:
            second()

    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, received_one)
