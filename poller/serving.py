"""Listening on an address, and a small HTTP server beside a process's main work."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

BACKLOG = 2048
"""Connections that may wait to be accepted, as many as uvicorn's own default."""
MOST_CONNECTIONS = 64
"""To the server beside the main work; whoever comes when all are busy is answered 503."""


class ListenError(Exception):
    """The address to serve on is not there, or taken."""


def listen(host: str, port: int, settings: str) -> list[socket.socket]:
    """A listening socket for each address of the host.

    Raises ListenError, which says with which `settings` the address can be changed.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in found):
            one = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            sockets.append(one)
            # Inherited by its connections. asyncio sets it only on sockets that it has made itself;
            # without it an answer's second packet waits 40 ms for the client's acknowledgement.
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, UnicodeError) as error:
        for one in sockets:
            one.close()
        reason = error.strerror if isinstance(error, OSError) else "no such host"
        raise ListenError(f"cannot listen on {host}:{port}: {reason}; see {settings}") from error
    return sockets


def url_of(one: socket.socket) -> str:
    host, port = one.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class SideServer(uvicorn.Server):
    """A server that leaves the signals to the process that it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(app: Starlette, sockets: list[socket.socket]) -> AsyncGenerator[None]:
    """Serve in the same event loop, for as long as the block lasts."""
    server = SideServer(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve(sockets))
    try:
        yield
    finally:
        server.should_exit = True
        await task
