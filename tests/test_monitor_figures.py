"""What /metrics and /readyz say of a queue with work in it, and of a process in trouble."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest

from poller import monitor
from poller.metrics import PollerMetrics
from poller.poll import Health
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import as_user, create_login, eventually, queue_media, sha256, sql, store
from tests.test_monitor import ON, address, client, samples
from tests.webhook.conftest import CLIENT_PASSWORD, StartDoor, http, start_door
from tests.webhook.payloads import lost, message, received

__all__ = ["client", "http", "start_door"]
JPEG = SAMPLES[0].read()
NUMBER = "106540352242922"


async def test_the_whole_queue(
    db: Any, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    for content in (b"due", b"tried in vain", b"spared for now"):
        await db.execute("select delete_media($1)", await store(db, sha256(content)))
    await db.execute("""
        update media_deletion_queue d
        set due_at = now() + interval '1 day', attempts = n.number - 2
        from (select id, row_number() over (order by id) as number from media_deletion_queue) n
        where d.id = n.id and n.number > 1
        """)
    for scope in ("storage", f"whatsapp:{NUMBER}"):
        await db.execute("select pause_media_source($1)", scope)
    for _ in range(3):
        await queue_media(db, phone_number_id=NUMBER)
    await db.execute("update media_processing_queue set due_at = now() - interval '90 s'")

    url = await address(await start_poller(**ON))

    async def connected() -> dict[str, float] | None:
        page = await samples(client, url)
        return page if page["pgmedia_database_up"] else None

    found = await eventually(connected)

    assert found["pgmedia_queue_jobs{status=pending}"] == 3
    assert 90 <= found["pgmedia_queue_oldest_due_seconds"] < 180
    assert found["pgmedia_file_removals_pending"] == 2
    assert found["pgmedia_paused_sources{by=operator}"] == 2
    assert found["pgmedia_paused_sources{by=fault}"] == 0


async def test_a_poller_that_stops_is_alive_and_not_ready(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(**ON)
    url = await address(poller)

    async def in_use() -> bool:
        return (await samples(client, url))["pgmedia_slots_in_use"] == 1

    await eventually(in_use)
    poller.process.terminate()

    async def is_stopping() -> bool:
        return (await client.get(f"{url}/readyz")).text == "stopping\n"

    await eventually(is_stopping)
    assert (await client.get(f"{url}/readyz")).status_code == 503
    assert (await client.get(f"{url}/healthz")).text == "ok: stopping\n"
    stall.released.set()
    assert await poller.ended() == 0


async def test_a_database_that_does_not_answer_keeps_no_probe_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        async def ping(self) -> None:
            await asyncio.Event().wait()

    class AtWork:
        is_stopping = False

    monkeypatch.setattr(monitor, "PROBE_SECONDS", 0.01)
    health = Health(PollerMetrics())
    health.poller = cast("Any", AtWork())
    health.database = cast("Any", Silent())

    with pytest.raises(monitor.NotWellError, match="the database does not answer: TimeoutError"):
        await asyncio.wait_for(health.monitor().ready(), 30)


async def test_a_poller_that_begins_without_a_database_waits_for_it(
    own_server: PostgresServer, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    sql(own_server.dsn(), create_login("one", "secret-one", "media_poller"))
    own_server.stop(signal.SIGQUIT)
    dsn = as_user(own_server.dsn(), "one", "secret-one")
    url = await address(await start_poller(**ON, DATABASE_URL=dsn))

    answer = await client.get(f"{url}/readyz")
    assert (answer.status_code, answer.text) == (503, "connecting to the database\n")
    assert (await client.get(f"{url}/healthz")).text == "ok: connecting to the database\n"
    assert (await samples(client, url))["pgmedia_database_up"] == 0
    own_server.start()

    async def is_ready() -> bool:
        return (await client.get(f"{url}/readyz")).status_code == 200

    await eventually(is_ready)


async def test_a_paused_number_is_no_fault_of_the_poller(
    db: Any, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    await db.execute("select pause_media_source($1)", f"whatsapp:{NUMBER}")
    await queue_media(db, phone_number_id=NUMBER)
    url = await address(await start_poller(**ON))

    async def is_ready() -> bool:
        return (await client.get(f"{url}/readyz")).status_code == 200

    await eventually(is_ready)
    found = await samples(client, url)
    assert found["pgmedia_paused_sources{by=operator}"] == 1
    assert found["pgmedia_queue_jobs{status=pending}"] == 1
    assert (await client.get(f"{url}/healthz")).text == "ok: at work\n"


async def test_calls_that_met_no_database(
    own_server: PostgresServer, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    sql(own_server.dsn(), create_login("one", "secret-one", "media_poller"))
    dsn = as_user(own_server.dsn(), "one", "secret-one")
    url = await address(await start_poller(**ON, DATABASE_URL=dsn))

    async def says(name: str) -> bool:
        return (await samples(client, url))[name] > 0

    await eventually(lambda: says("pgmedia_listener_connected"))
    own_server.stop(signal.SIGQUIT)
    await eventually(lambda: says("pgmedia_database_errors_total"))


async def test_what_a_call_could_not_bring(
    start_door: StartDoor, client: httpx.AsyncClient
) -> None:
    door = await start_door(**ON)
    await door.meta.post(received(message("image"), lost(), message("image", id=None)))
    repeated = received(message("image"))
    await door.meta.post(repeated)
    await door.meta.post(repeated)

    found = await samples(client, await address(door))

    assert found["pgmedia_webhook_unusable_total"] == 1
    assert found["pgmedia_webhook_media_total{outcome=queued}"] == 2
    assert found["pgmedia_webhook_media_total{outcome=failed}"] == 1
    assert found["pgmedia_webhook_messages_total{kind=duplicate}"] == 1


async def test_a_door_that_stops_is_alive_and_not_ready(
    start_door: StartDoor, client: httpx.AsyncClient
) -> None:
    door = await start_door(**ON)
    url, at = await address(door), urlsplit(door.meta.url)
    with socket.create_connection((at.hostname or "", at.port or 0)) as call:
        call.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert (await client.get(f"{url}/readyz")).status_code == 200
        door.process.terminate()

        async def is_stopping() -> bool:
            return (await client.get(f"{url}/readyz")).text == "stopping\n"

        await eventually(is_stopping)
        assert (await client.get(f"{url}/readyz")).status_code == 503
        assert (await client.get(f"{url}/healthz")).text == "ok: stopping\n"
    assert await door.ended() == 0


async def test_a_door_without_a_database_is_alive_and_not_ready(
    own_server: PostgresServer, start_door: StartDoor, client: httpx.AsyncClient
) -> None:
    sql(own_server.dsn(), create_login("two", CLIENT_PASSWORD, "media_client"))
    door = await start_door(**ON, DATABASE_URL=as_user(own_server.dsn(), "two", CLIENT_PASSWORD))
    url = await address(door)
    assert (await client.get(f"{url}/readyz")).status_code == 200
    assert (await samples(client, url))["pgmedia_database_up"] == 1
    own_server.stop(signal.SIGQUIT)

    answer = await client.get(f"{url}/readyz")

    assert (answer.status_code, (await client.get(f"{url}/healthz")).status_code) == (503, 200)
    assert "the database does not answer" in answer.text
    assert (await samples(client, url))["pgmedia_database_up"] == 0
