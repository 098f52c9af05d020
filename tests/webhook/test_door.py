"""`pgmedia webhook` over HTTP: a real process, called as Meta calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from poller.webhook import (
    MAX_BODY_BYTES,
    MOST_DRAINED_BYTES,
)
from tests.helpers import pgmedia
from tests.webhook.calls import count
from tests.webhook.conftest import StartDoor
from tests.webhook.payloads import message, received, signature


async def test_meta_verifies_the_address(start_door: StartDoor) -> None:
    meta = (await start_door()).meta

    answer = await meta.verify(challenge="11582 <b>&ü")

    assert (answer.status_code, answer.text) == (200, "11582 <b>&ü")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await meta.verify(token="other")).status_code == 403
    assert (await meta.verify(token="ü")).status_code == 403
    assert (await meta.verify(mode="unsubscribe")).status_code == 403
    assert (await meta.http.get(meta.url)).status_code == 403
    assert (await meta.http.post(f"{meta.url}/")).status_code == 404  # no redirect


async def test_a_call_is_stored_before_it_is_answered(db: Any, start_door: StartDoor) -> None:
    meta = (await start_door()).meta
    body = json.dumps(received(message()), indent=1).replace("/", "\\/").encode()

    answer = await meta.post(body)

    assert (answer.status_code, answer.text) == (200, "ok")
    assert await count(db, "media_processing_queue") == 1
    assert await db.fetchval("select payload::text from whatsapp_webhook_events") == body.decode()


@pytest.mark.parametrize(
    "header",
    [
        signature(b"other"),
        signature(b"{}", "other secret"),
        signature(b"{}").removeprefix("sha256="),
        signature(b"{}").upper(),
        "",
        "sha256=\xfc",
    ],
)
async def test_a_bad_signature_is_refused(db: Any, start_door: StartDoor, header: str) -> None:
    meta = (await start_door()).meta

    answer = await meta.post(b"{}", X_Hub_Signature_256=header)

    assert answer.status_code == 403
    assert (await meta.http.post(meta.url, content=b"{}")).status_code == 403
    assert await count(db, "whatsapp_webhook_events") == 0
    assert (await meta.post(b"{}")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'"\0"', b"NaN", b"[}"])
async def test_a_signed_body_that_is_not_json_is_only_counted(
    db: Any, start_door: StartDoor, body: bytes
) -> None:
    meta = (await start_door()).meta

    answer = await meta.post(body)

    assert answer.status_code == 400
    assert await count(db, "whatsapp_webhook_events") == 0
    assert await db.fetch("select reason, refusals from whatsapp_webhook_refusals") == [
        ("not_json", 1)
    ]


async def test_a_body_nested_too_deeply_is_counted_and_need_not_come_again(
    db: Any, start_door: StartDoor
) -> None:
    door = await start_door()

    answer = await door.meta.post(b"[" * 20_000 + b"]" * 20_000)

    assert answer.status_code == 200
    assert answer.text == "nested too deeply to be stored: counted and dropped"
    assert await count(db, "whatsapp_webhook_events") == 0
    assert await db.fetch("select reason, refusals from whatsapp_webhook_refusals") == [
        ("too_deep", 1)
    ]
    assert "refused a signed call: too_deep" in door.log.read_text()


async def test_an_unsigned_body_that_is_not_json_is_not_even_counted(
    db: Any, start_door: StartDoor
) -> None:
    meta = (await start_door()).meta

    assert (await meta.post(b"{", X_Hub_Signature_256="sha256=0")).status_code == 403
    assert await count(db, "whatsapp_webhook_refusals") == 0


async def test_three_megabytes_are_taken_and_a_byte_more_is_not(
    db: Any, start_door: StartDoor
) -> None:
    meta = (await start_door()).meta
    largest = b'{"entry": "' + b"x" * (MAX_BODY_BYTES - 13) + b'"}'
    assert len(largest) == MAX_BODY_BYTES

    assert (await meta.post(largest)).status_code == 200
    assert (await meta.post(largest + b" ")).status_code == 413
    assert (await meta.post(largest * 3)).status_code == 413  # all of it is sent before the answer
    assert await count(db, "whatsapp_webhook_events") == 1


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 1, 40 * 1024 * 1024, 9_999_999_999])
async def test_a_length_that_is_too_large_is_answered_before_the_body_comes(
    start_door: StartDoor, length: int
) -> None:
    address = urlsplit((await start_door()).meta.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())

    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    text = f"more than {MAX_BODY_BYTES} bytes".encode()

    assert head.startswith(b"http/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in head
    assert await reader.readexactly(len(text)) == text
    writer.write(b"x" * min(length, MOST_DRAINED_BYTES))  # what it had in hand is taken
    assert await reader.read() == b""
    writer.close()


async def test_no_more_than_a_bound_is_thrown_away(start_door: StartDoor) -> None:
    address = urlsplit((await start_door()).meta.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
    sent = 0

    with contextlib.suppress(ConnectionError):
        while sent < 8 * MOST_DRAINED_BYTES:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    assert MOST_DRAINED_BYTES <= sent < 4 * MOST_DRAINED_BYTES


def run_door(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return pgmedia("webhook", cwd=folder, seconds=60, **settings)


async def test_an_address_that_is_taken_or_unknown_is_one_line(tmp_path: Path) -> None:
    settings = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "WHATSAPP_APP_SECRET": "a",
        "WHATSAPP_VERIFY_TOKEN": "b",
    }
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for place in (
            {"PGMEDIA_WEBHOOK_PORT": port},
            {"PGMEDIA_WEBHOOK_HOST": "nowhere.invalid"},
            {"PGMEDIA_WEBHOOK_HOST": "a..b"},
        ):
            done = await asyncio.to_thread(run_door, tmp_path, settings | place)

            assert done.returncode == 1
            (line,) = done.stderr.splitlines()
            host = place.get("PGMEDIA_WEBHOOK_HOST", "127.0.0.1")
            said = json.loads(line)
            assert (said["level"], said["process"]) == ("error", "webhook")
            assert said["message"].startswith(f"cannot listen on {host}:")


async def test_a_body_without_a_length_is_cut_off_while_it_comes(start_door: StartDoor) -> None:
    meta = (await start_door()).meta
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65_536
            yield b"x" * 65_536

    with contextlib.suppress(httpx.TransportError):  # the answer may be lost with the connection
        assert (await meta.http.post(meta.url, content=endless())).status_code == 413
    assert sent < 10 * MAX_BODY_BYTES


async def test_a_client_that_goes_away_leaves_no_trace(db: Any, start_door: StartDoor) -> None:
    door = await start_door()
    address = urlsplit(door.meta.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")

    assert (await door.meta.post(received(message()))).status_code == 200
    assert await count(db, "whatsapp_webhook_events") == 1
    assert "Traceback" not in door.log.read_text()


async def test_other_paths_and_methods_are_refused(start_door: StartDoor) -> None:
    meta = (await start_door()).meta

    assert (await meta.http.get(meta.url + "x")).status_code == 404
    assert (await meta.http.put(meta.url)).status_code == 405
