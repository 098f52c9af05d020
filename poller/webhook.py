"""`pgmedia webhook`: the door for Meta. Signature, then one SQL call, then 200."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from poller.config import Settings
from poller.connection import GuardedConnection
from poller.db import DATABASE_AWAY, Database, DatabaseError, UnreadableError
from poller.metrics import WebhookMetrics
from poller.monitor import PROBE_SECONDS, Monitor, NotWellError, monitored, reach
from poller.serving import listen, url_of
from poller.text import describe_error, plain

log = logging.getLogger(__name__)

PATH = "/webhook"
MAX_BODY_BYTES = 3 * 1024 * 1024
"""As much as Meta sends in one call."""
MOST_DRAINED_BYTES = 4 * MAX_BODY_BYTES
"""A body that is too large is read away up to here: a sender that still writes hears no answer."""
RETRY_AFTER_SECONDS = 5
TOO_LARGE = f"more than {MAX_BODY_BYTES} bytes"
HANG_UP = {"Connection": "close"}
"""Else the rest of a body that is not wanted would be read to its end."""
KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep an idle connection: none sends a call into one that just closed."""
DATABASE_CONNECTIONS = 8
MOST_CONNECTIONS = 256
"""Connections at once; see GuardedConnection. It bounds the memory that bodies take."""


class TooLargeError(Exception):
    """The body has more than MAX_BODY_BYTES."""


class RefusedUnread(PlainTextResponse):
    """413 before the body is read; what the sender goes on writing is thrown away, to a bound."""

    def __init__(self) -> None:
        super().__init__(TOO_LARGE, 413, HANG_UP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and hang up last: bytes left unread would take the answer with them."""
        del scope
        start = {"type": "http.response.start", "status": 413, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        drained, more = 0, True
        while more and drained < MOST_DRAINED_BYTES:
            piece = await receive()
            drained += len(piece.get("body", b""))
            more = piece.get("more_body", False)
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True, slots=True)
class Door:
    """Answers Meta. Any answer but 200 makes Meta send the call again, for days.

    So 200 means that it need not: the call is kept, or it is one that can never be.
    """

    database: Database
    app_secret: SecretStr
    verify_token: SecretStr
    metrics: WebhookMetrics = field(default_factory=WebhookMetrics)

    async def verify(self, request: Request) -> Response:
        """Meta checks that the address is ours: answer the challenge if it knows our token."""
        query = request.query_params
        token = self.verify_token.get_secret_value().encode()
        if query.get("hub.mode") != "subscribe" or not hmac.compare_digest(
            token, query.get("hub.verify_token", "").encode()
        ):
            self.metrics.requests.labels("not_verified").inc()
            return PlainTextResponse("the verify token is not ours", 403)
        self.metrics.requests.labels("verified").inc()
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def receive(self, request: Request) -> Response:
        """A call: counted and timed."""
        began, result = time.monotonic(), "error"
        try:
            result, answer = await self._receive(request)
        finally:
            self.metrics.requests.labels(result).inc()
            self.metrics.duration.observe(time.monotonic() - began)
        return answer

    async def _receive(self, request: Request) -> tuple[str, Response]:
        """What became of the call, and the answer.

        Nothing is done with a body whose signature has not been checked.
        """
        if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
            return "too_large", RefusedUnread()
        try:
            body = await read_body(request)
        except TooLargeError:
            return "too_large", PlainTextResponse(TOO_LARGE, 413, HANG_UP)
        except ClientDisconnect:
            return "disconnected", Response(status_code=499)  # nobody hears it
        if not self.signed(body, request.headers.get("x-hub-signature-256", "")):
            log.warning("webhook: refused a call with a bad signature")
            return "bad_signature", PlainTextResponse("the signature does not fit the body", 403)
        try:
            summary = json.loads(await self.database.receive_webhook(body))
        except UnreadableError as error:
            reason = str(error)
            log.warning("webhook: refused a signed call: %s", reason)
            if reason == "too_deep":  # will never be less, so Meta need not send it again
                text = "nested too deeply to be stored: counted and dropped"
                return reason, PlainTextResponse(text)
            return reason, PlainTextResponse("the body is not JSON", 400)
        except DatabaseError as error:
            log.warning("webhook: not stored: %s", plain(error))
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return "unavailable", PlainTextResponse("cannot be stored now", 503, headers)
        self.metrics.stored(summary)
        log_summary(summary)
        return "stored", PlainTextResponse("ok")

    def signed(self, body: bytes, signature: str) -> bool:
        """Compare in constant time with what only Meta and we can make."""
        secret = self.app_secret.get_secret_value().encode()
        expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode())


async def read_body(request: Request) -> bytes:
    """The body. Raises TooLargeError, and holds no more than MAX_BODY_BYTES at any time."""
    body = bytearray()
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if received <= MAX_BODY_BYTES:
            body += piece
        elif received > MOST_DRAINED_BYTES:
            break
    if received > MAX_BODY_BYTES:
        raise TooLargeError
    return bytes(body)


def log_summary(summary: dict[str, Any]) -> None:
    """Counts alone: behind an error's code may be a sender's number and words."""
    codes: Counter[str] = Counter()
    for problem, times in summary["errors"].items():
        codes[plain(problem.partition(":")[0])] += times
    level = logging.WARNING if any("_refused" in code for code in codes) else logging.INFO
    counts = summary | {"errors": codes}
    log.log(level, "webhook: %s", json.dumps(counts), extra={"webhook": counts})


def application(door: Door) -> Starlette:
    """The ASGI application, which closes the database when it ends."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await door.database.close()

    routes = [
        Route(PATH, door.verify, methods=["GET"]),
        Route(PATH, door.receive, methods=["POST"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # behind a proxy it would lead to http
    return app


class DoorServer(uvicorn.Server):
    """Says when it stops: calls in hand may take as long as the grace time."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("webhook: stopping; calls in hand are answered first")
        await super().shutdown(sockets)


async def serve(settings: Settings) -> None:
    """Serve until a signal; calls in hand are answered first, for as long as the grace time lasts.

    A database that is away is no reason to stop or not to start. Raises ListenError, and asyncpg's
    errors when the database has not what it takes, or refuses it to this login.
    """
    assert settings.whatsapp_app_secret and settings.whatsapp_verify_token  # noqa: S101, PT018
    sockets = listen(
        settings.pgmedia_webhook_host,
        settings.pgmedia_webhook_port,
        "PGMEDIA_WEBHOOK_HOST and PGMEDIA_WEBHOOK_PORT",
    )
    database = await Database.connect(
        settings.database_url.get_secret_value(),
        settings.pgmedia_poller_name,
        connections=DATABASE_CONNECTIONS,
        own_session=False,
        connect_now=False,
    )
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await database.check_receiving()
    except DATABASE_AWAY as error:
        log.warning("database away: %s", describe_error(error))
    door = Door(database, settings.whatsapp_app_secret, settings.whatsapp_verify_token)
    server = DoorServer(server_config(settings, application(door)))
    # uvicorn raises a signal again once it has stopped; to be asked to stop is no failure.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, _do_nothing)
    async with monitored(settings, monitor(door, lambda: server.should_exit)):
        for one in sockets:
            log.info("webhook: running on %s", url_of(one))
        await server.serve(sockets)
        log.info("webhook: stopped")


def monitor(door: Door, is_stopping: Callable[[], bool]) -> Monitor:
    """What the door answers to /healthz, /readyz and /metrics."""

    async def alive() -> str:
        return "stopping" if is_stopping() else "at the door"

    async def ready() -> str:
        if is_stopping():
            raise NotWellError("stopping")
        await reach(door.database)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await door.database.check_receiving()
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise NotWellError(f"calls cannot be stored: {describe_error(error)}") from error
        return "the database answers"

    async def refresh() -> None:
        try:
            await reach(door.database)
        except NotWellError:
            door.metrics.database_up.set(0)
        else:
            door.metrics.database_up.set(1)

    return Monitor(door.metrics.registry, alive, ready, refresh)


def server_config(
    settings: Settings, app: Starlette, most_connections: int = MOST_CONNECTIONS
) -> uvicorn.Config:
    """How uvicorn serves the door; twice `most_connections` when all of them wait for an answer."""
    return uvicorn.Config(
        app,
        http=GuardedConnection.with_limits(settings.pgmedia_webhook_seconds, most_connections),
        log_config=None,
        access_log=False,  # it would show the verify token
        server_header=False,
        ws="none",
        limit_concurrency=2 * most_connections,  # 503, if as many wait for the database
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.pgmedia_grace_seconds),
    )


def _do_nothing(*_: object) -> None:
    pass
