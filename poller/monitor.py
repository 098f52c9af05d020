"""/metrics, /healthz and /readyz of a poller and of the webhook, on a port of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from poller.config import Settings
from poller.db import DATABASE_AWAY, Database
from poller.serving import listen, serving, url_of

log = logging.getLogger(__name__)


PROBE_SECONDS = 2.0
"""How long the database may take to answer a probe."""


class NotWellError(Exception):
    """A probe fails; the message says why, and is shown."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """What there is to be asked. The checks say what is well, or raise NotWellError.

    `alive`: does the process do its work? Restarting it would help if not. `ready`: could it do
    its work now, with all that it needs? `refresh` brings those metrics up to date that are only
    read when somebody asks; it raises nothing.
    """

    registry: CollectorRegistry
    alive: Callable[[], Awaitable[str]]
    ready: Callable[[], Awaitable[str]]
    refresh: Callable[[], Awaitable[None]]

    async def metrics(self, request: Request) -> Response:
        await self.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self.registry), media_type=content_type)

    async def healthz(self, _: Request) -> Response:
        return await _probe(self.alive)

    async def readyz(self, _: Request) -> Response:
        return await _probe(self.ready)

    def application(self) -> Starlette:
        paths = {"/metrics": self.metrics, "/healthz": self.healthz, "/readyz": self.readyz}
        return Starlette(routes=[Route(path, answer) for path, answer in paths.items()])


async def reach(database: Database) -> None:
    """Raises NotWellError unless the database answers, and takes writes."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await database.ping()
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise NotWellError("the database takes no writes") from error
    except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
        raise NotWellError(f"the database does not answer: {type(error).__name__}") from error


async def _probe(check: Callable[[], Awaitable[str]]) -> Response:
    try:
        return PlainTextResponse(f"ok: {await check()}\n")
    except NotWellError as error:
        return PlainTextResponse(f"{error}\n", 503)


@asynccontextmanager
async def monitored(settings: Settings, monitor: Monitor) -> AsyncGenerator[None]:
    """Answer for as long as the block lasts, if a port for it is set. Raises ListenError."""
    if settings.pgmedia_metrics_port is None:
        yield
        return
    sockets = listen(
        settings.pgmedia_metrics_host,
        settings.pgmedia_metrics_port,
        "PGMEDIA_METRICS_HOST and PGMEDIA_METRICS_PORT",
    )
    for one in sockets:
        log.info("metrics: on %s/metrics, with /healthz and /readyz", url_of(one))
    async with serving(monitor.application(), sockets):
        yield
