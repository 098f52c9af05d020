"""`pgmedia poll`: put the poller together, connect, and run it until a signal or until drained."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg

from poller.config import Settings, SettingsError
from poller.db import DATABASE_AWAY, Database, Listener, has_own_session
from poller.http import open_session
from poller.inspector import Inspector
from poller.loop import Poller
from poller.metrics import PollerMetrics
from poller.monitor import PROBE_SECONDS, Monitor, NotWellError, monitored, reach
from poller.pipeline import Pipeline, persistently
from poller.service_key import judge_service_key
from poller.storage import Storage
from poller.whatsapp import WhatsApp

log = logging.getLogger(__name__)


STANDSTILL_SECONDS = 300.0
"""A poller that has not looked for work for so long is stuck: no call of it may last as long."""


class Health:
    """What a poller answers to /healthz, /readyz and /metrics; there is none while it connects."""

    def __init__(self, metrics: PollerMetrics) -> None:
        self._metrics = metrics
        self.poller: Poller | None = None
        self.database: Database | None = None

    def monitor(self) -> Monitor:
        return Monitor(self._metrics.registry, self._alive, self._ready, self._refresh)

    async def _alive(self) -> str:
        if self.poller is None:
            return "connecting to the database"
        if (seconds := self.poller.standstill_seconds) > STANDSTILL_SECONDS:
            raise NotWellError(f"has not looked for work for {seconds:.0f} s")
        return "stopping" if self.poller.is_stopping else "at work"

    async def _ready(self) -> str:
        if self.poller is None or self.database is None:
            raise NotWellError("connecting to the database")
        if self.poller.is_stopping:
            raise NotWellError("stopping")
        await reach(self.database)
        return "woken by LISTEN" if self.poller.mode == "listen" else "polling"

    async def _refresh(self) -> None:
        figures = None
        if self.database is not None:
            with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self.database.ping()
                    figures = await self.database.queue_figures()
        self._metrics.queue.show(figures)


async def poll(settings: Settings, *, drain: bool) -> None:
    """Run a poller. With `drain` it raises one of DATABASE_AWAY; else it waits for the database.

    Raises SettingsError for a key that cannot be the service key, WrongProjectError when
    SUPABASE_URL is not where the files are, or no longer, and ListenError when the address of the
    metrics is taken.
    """
    _check_key(settings)
    metrics = PollerMetrics()
    health = Health(metrics)
    async with monitored(settings, health.monitor()):
        await _poll(settings, metrics, health, drain=drain)


async def _poll(settings: Settings, metrics: PollerMetrics, health: Health, *, drain: bool) -> None:
    connecting = asyncio.create_task(_connect(settings, drain=drain))
    _on_signals(connecting.cancel, connecting.cancel)
    try:
        database, own_session = await connecting
    except asyncio.CancelledError:
        return
    try:
        async with contextlib.AsyncExitStack() as stack:
            health.database = database
            pipeline = await _pipeline(settings, database, metrics, stack)
            await _run(settings, pipeline, health, listen=own_session, drain=drain)
    finally:
        health.database = None
        await database.close()


def _check_key(settings: Settings) -> None:
    """Raise SettingsError for a key that cannot be the right one.

    Each upload would be refused, and storage paused for every other poller.
    """
    assert settings.supabase_service_key  # noqa: S101
    if problem := judge_service_key(settings.supabase_service_key.get_secret_value()):
        raise SettingsError([("supabase_service_key", f"the storage key is {problem}")])


async def _connect(settings: Settings, *, drain: bool) -> tuple[Database, bool]:
    """The database, and whether a connection to it keeps its session."""
    dsn = settings.database_url.get_secret_value()

    async def connect() -> tuple[Database, bool]:
        own_session = await has_own_session(dsn)
        database = await Database.connect(
            dsn,
            settings.pgmedia_poller_name,
            connections=min(8, settings.pgmedia_concurrency + 1),
            own_session=own_session,
        )
        try:
            # a missing schema or right, or another project, is said before any work
            await database.heartbeat("poll", 0, project_url=settings.supabase_url)
        except BaseException:
            await database.close()
            raise
        return database, own_session

    return await connect() if drain else await persistently(connect)


async def _pipeline(
    settings: Settings,
    database: Database,
    metrics: PollerMetrics,
    stack: contextlib.AsyncExitStack,
) -> Pipeline:
    assert settings.supabase_url  # noqa: S101
    assert settings.supabase_service_key  # noqa: S101
    assert settings.whatsapp_token  # noqa: S101
    urls = (settings.whatsapp_api_url, settings.supabase_url)
    session = await stack.enter_async_context(
        open_session(
            {urlsplit(url).hostname or "" for url in urls},
            settings.pgmedia_timeout_seconds,
            2 * settings.pgmedia_concurrency,
        )
    )
    inspector = await stack.enter_async_context(
        Inspector(
            children=min(settings.pgmedia_concurrency, os.cpu_count() or 1),
            seconds=settings.pgmedia_check_seconds,
            memory_bytes=settings.pgmedia_check_memory_bytes,
        )
    )
    encoder = await stack.enter_async_context(
        Inspector(
            children=max(1, min(settings.pgmedia_concurrency, os.cpu_count() or 1) // 2),
            seconds=settings.pgmedia_encode_seconds,
            memory_bytes=settings.pgmedia_encode_memory_bytes,
        )
    )
    return Pipeline(
        database=database,
        whatsapp=WhatsApp(
            session,
            settings.whatsapp_api_url,
            settings.whatsapp_token,
            settings.whatsapp_phone_id,
            settings.pgmedia_timeout_seconds,
        ),
        storage=Storage(
            session,
            settings.supabase_url,
            settings.supabase_service_key,
            settings.pgmedia_timeout_seconds,
        ),
        inspector=inspector,
        encoder=encoder,
        spool_memory_bytes=settings.pgmedia_spool_memory_bytes,
        spool_folder=settings.pgmedia_spool_folder,
        metrics=metrics,
    )


async def _run(
    settings: Settings, pipeline: Pipeline, health: Health, *, listen: bool, drain: bool
) -> None:
    database = pipeline.database

    def open_listener(heard: Callable[[], None]) -> Awaitable[Listener]:
        return Listener.open(settings.database_url.get_secret_value(), database.poller, heard)

    poller = Poller(
        pipeline,
        listen=open_listener if listen else None,
        concurrency=settings.pgmedia_concurrency,
        poll_seconds=settings.pgmedia_poll_seconds,
        grace_seconds=settings.pgmedia_grace_seconds,
        project_url=settings.supabase_url,
    )
    health.poller = poller
    _on_signals(poller.stop, poller.stop_now)
    log.info("poller %s: %s at once", database.poller, settings.pgmedia_concurrency)
    if not listen:
        log.info(
            "LISTEN does not work on this connection, as behind a transaction pooler:"
            " polling every %s s, statement cache off",
            settings.pgmedia_poll_seconds,
        )
    await poller.run(drain=drain)
    log.info("poller %s stopped", database.poller)


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
