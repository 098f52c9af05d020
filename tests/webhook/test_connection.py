"""Clients of the door that say nothing, or too slowly: they are cut off, and Meta gets in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from poller.config import Settings
from poller.serving import listen
from poller.webhook import MOST_CONNECTIONS, server_config
from tests.conftest import Connect
from tests.helpers import eventually
from tests.webhook.conftest import Meta, StartDoor
from tests.webhook.payloads import message, received

HEAD = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"

WAITING_FOR = """
    select exists (
        select from pg_stat_activity
        where wait_event_type = 'Lock'
            and query_start < clock_timestamp() - make_interval(secs => $1)
    )
"""


def dial(meta: Meta, first_bytes: bytes = b"") -> socket.socket:
    """A connection of a client of our own, with what it says at first."""
    address = urlsplit(meta.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
    connection.sendall(first_bytes)
    return connection


@pytest.mark.parametrize("first_bytes", [b"", b"POST /web", HEAD, HEAD + b"\r\n{"])
async def test_silent_clients_do_not_keep_meta_out(
    db: Any, start_door: StartDoor, first_bytes: bytes
) -> None:
    door = await start_door()
    with contextlib.ExitStack() as open_connections:
        for _ in range(2 * MOST_CONNECTIONS + 10):
            open_connections.enter_context(dial(door.meta, first_bytes))

        answers = [(await door.meta.post(received(message()))).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert await db.fetchval("select count(*) from messages") == 3
    assert door.log.read_text().count("over 256 connections at once: cut off 1 ") == 1


async def test_idle_clients_do_not_keep_meta_out(db: Any, start_door: StartDoor) -> None:
    """Those that were answered once, and stay."""
    meta = (await start_door()).meta
    with contextlib.ExitStack() as open_connections:
        for _ in range(2 * MOST_CONNECTIONS + 10):
            one = open_connections.enter_context(dial(meta, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
            assert one.recv(100).startswith(b"HTTP/1.1 404")

        assert (await meta.post(received(message()))).status_code == 200

    assert await db.fetchval("select count(*) from messages") == 1


ANSWERED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("more", [b"x", b""])
@pytest.mark.parametrize("begun", [b"", b"POST ", HEAD, HEAD + b"\r\n", ANSWERED + HEAD + b"\r\n"])
async def test_a_request_that_does_not_come_in_is_cut_off(
    start_door: StartDoor, begun: bytes, more: bytes
) -> None:
    """Be it that a byte comes now and then, or nothing at all."""
    door = await start_door(PGMEDIA_WEBHOOK_SECONDS="1")
    with dial(door.meta, begun) as connection:
        connection.setblocking(False)

        def cut_off() -> bool:
            try:
                connection.sendall(more)
                return connection.recv(1000) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

        await eventually(cut_off)

    assert (await door.meta.post(received(message()))).status_code == 200
    assert "Traceback" not in door.log.read_text()


async def test_the_clock_stops_when_the_request_is_in(
    db: Any, connect: Connect, start_door: StartDoor
) -> None:
    meta = (await start_door(PGMEDIA_WEBHOOK_SECONDS="1")).meta
    blocker = await connect()
    async with blocker.transaction():
        await blocker.execute("lock table whatsapp_webhook_events")
        call = asyncio.create_task(meta.post(received(message())))
        await eventually(lambda: db.fetchval(WAITING_FOR, 1.5))
    assert (await call).status_code == 200


async def test_more_calls_than_may_wait_are_sent_away_at_once(
    settings: Settings, http: httpx.AsyncClient
) -> None:
    in_hand: asyncio.Queue[None] = asyncio.Queue()
    go_on = asyncio.Event()

    async def wait(_: Request) -> Response:
        in_hand.put_nowait(None)
        await go_on.wait()
        return Response("ok")

    app = Starlette(routes=[Route("/webhook", wait, methods=["POST"])])
    server = uvicorn.Server(server_config(settings, app, most_connections=3))
    (listening,) = listen("127.0.0.1", 0, "its settings")
    serving = asyncio.create_task(server.serve([listening]))
    meta = Meta(http, f"http://127.0.0.1:{listening.getsockname()[1]}/webhook")

    calls: list[asyncio.Task[httpx.Response]] = []
    for _ in range(5):  # and the one to come is the sixth
        calls.append(asyncio.create_task(meta.post(b"{}")))
        await in_hand.get()
    one_too_many = await meta.post(b"{}")
    go_on.set()

    assert (one_too_many.status_code, one_too_many.text) == (503, "Service Unavailable")
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    assert (await meta.post(b"{}")).status_code == 200
    server.should_exit = True
    await serving


async def test_no_answer_waits_for_an_acknowledgement() -> None:
    (listening,) = listen("127.0.0.1", 0, "its settings")
    with listening, socket.create_connection(listening.getsockname()):
        accepted, _ = await asyncio.to_thread(listening.accept)
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
