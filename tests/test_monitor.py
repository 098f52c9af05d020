"""/metrics, /healthz and /readyz of real processes."""

from __future__ import annotations

import asyncio
import math
import re
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client.openmetrics import parser as open_metrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse

from poller.config import Settings
from poller.metrics import PollerMetrics
from poller.monitor import NotWellError
from poller.poll import STANDSTILL_SECONDS, Health
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import PollerProcess, StartPoller
from tests.helpers import (
    as_user,
    create_login,
    eventually,
    is_stored,
    pgmedia,
    queue_media,
    sha256,
    sql,
)
from tests.webhook.conftest import StartDoor, http, start_door
from tests.webhook.payloads import message, received

__all__ = ["http", "start_door"]
JPEG = SAMPLES[0].read()
ON = {"PGMEDIA_METRICS_PORT": "0"}
ADDRESS = re.compile(r"metrics: on (http://[\d.]+:\d+)/metrics")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as opened:
        yield opened


async def address(process: PollerProcess) -> str:
    found = await eventually(lambda: ADDRESS.search(process.log.read_text()))
    return found[1]


async def samples(client: httpx.AsyncClient, url: str) -> dict[str, float]:
    """Every sample by its name and labels, as in name{label=value}."""
    answer = await client.get(f"{url}/metrics")
    assert answer.status_code == 200
    return {
        one.name + "".join(f"{{{name}={value}}}" for name, value in sorted(one.labels.items())):
            one.value
        for family in parse(answer.text) for one in family.samples
    }  # fmt: skip


async def test_a_poller_tells_what_it_does(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    expired = whatsapp.add_media(JPEG + b"x", "image/jpeg")
    whatsapp.expire_media(expired)
    await queue_media(db, expired)
    await db.execute("update media_processing_queue set due_at = now() - interval '90 s'")
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    url = await address(await start_poller(**ON, PGMEDIA_CONCURRENCY="3"))
    await is_stored(db, media)
    await eventually(lambda: db.fetchval("select failed_at from media where failed_at is not null"))
    same = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg", sha256=sha256(JPEG)))
    await is_stored(db, same)

    found = await eventually(lambda: finished(client, url, attempts=3))

    code = "media_expired_or_foreign"
    assert found["pgmedia_attempts_total{code=}{outcome=stored}"] == 1
    assert found["pgmedia_attempts_total{code=}{outcome=deduplicated}"] == 1
    assert found[f"pgmedia_attempts_total{{code={code}}}{{outcome=failed}}"] == 1
    assert found["pgmedia_queue_wait_seconds_count"] == 3
    assert 90 <= found["pgmedia_queue_wait_seconds_sum"] < 180
    for step in ("describe", "download", "check", "upload"):
        assert found[f"pgmedia_step_duration_seconds_count{{step={step}}}"] == 1
    assert found["pgmedia_attempt_duration_seconds_count{outcome=stored}"] == 1
    assert found["pgmedia_downloaded_bytes_total"] == len(JPEG)
    assert found["pgmedia_uploaded_bytes_total"] == len(JPEG)
    assert found["pgmedia_file_size_bytes_sum"] == len(JPEG)
    assert (found["pgmedia_slots"], found["pgmedia_slots_in_use"]) == (3, 0)
    assert found["pgmedia_listener_connected"] == 1
    assert found["pgmedia_database_up"] == 1
    assert found["pgmedia_queue_jobs{status=failed}"] == 1
    assert found["pgmedia_queue_jobs{status=pending}"] == 0
    assert found["pgmedia_queue_oldest_due_seconds"] == 0
    assert found["process_resident_memory_bytes"] > 0


async def finished(client: httpx.AsyncClient, url: str, attempts: int) -> dict[str, float] | None:
    found = await samples(client, url)
    ended = sum(v for name, v in found.items() if name.startswith("pgmedia_attempts_total"))
    return found if ended == attempts and found["pgmedia_listener_connected"] else None


async def test_what_is_in_hand_and_removed(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller,
    client: httpx.AsyncClient,
) -> None:  # fmt: skip
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    url = await address(await start_poller(**ON))
    await is_stored(db, media)
    await db.execute("select delete_media($1)", media)

    async def removed() -> bool:
        return (await samples(client, url)).get(
            "pgmedia_file_removals_total{outcome=removed}"
        ) == 1  # fmt: skip

    await eventually(removed)


async def test_names_and_units_are_those_of_prometheus(
    start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    url = await address(await start_poller(**ON))
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}

    answer = await client.get(f"{url}/metrics", headers=wanted)

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = cast("Any", open_metrics_parser).text_string_to_metric_families(answer.text)
    ours = [one for one in families if one.name.startswith("pgmedia_")]
    assert ours
    for family in ours:
        assert family.documentation.endswith("."), family.name
        measures = family.name.endswith(("_seconds", "_bytes"))
        assert measures or family.type != "histogram", family.name
        for sample in family.samples:
            assert set(sample.labels) <= {
                "outcome",
                "code",
                "step",
                "status",
                "by",
                "le",
                "version",
            }


async def test_a_poller_without_a_database_is_alive_and_not_ready(
    own_server: PostgresServer, start_poller: StartPoller, client: httpx.AsyncClient
) -> None:
    sql(own_server.dsn(), create_login("one", "secret-one", "media_poller"))
    dsn = as_user(own_server.dsn(), "one", "secret-one")
    url = await address(await start_poller(**ON, DATABASE_URL=dsn))

    async def probes() -> tuple[int, int]:
        pages = [await client.get(f"{url}/{page}") for page in ("healthz", "readyz")]
        return pages[0].status_code, pages[1].status_code

    async def are(expected: tuple[int, int]) -> bool:
        return await probes() == expected

    await eventually(lambda: are((200, 200)))
    await eventually(lambda: listening(client, url))
    assert (await samples(client, url))["pgmedia_queue_jobs{status=pending}"] == 0
    own_server.stop(signal.SIGQUIT)
    await eventually(lambda: are((200, 503)))
    assert "the database does not answer" in (await client.get(f"{url}/readyz")).text
    found = await samples(client, url)
    assert found["pgmedia_database_up"] == 0
    assert math.isnan(found["pgmedia_queue_oldest_due_seconds"])
    assert "pgmedia_queue_jobs{status=pending}" not in found
    own_server.start()
    await eventually(lambda: are((200, 200)))


async def listening(client: httpx.AsyncClient, url: str) -> bool:
    return "woken by LISTEN" in (await client.get(f"{url}/readyz")).text


async def test_a_poller_that_stands_still_is_not_healthy() -> None:
    class Still:
        standstill_seconds = STANDSTILL_SECONDS + 1
        is_stopping = False

    health = Health(PollerMetrics())
    monitor = health.monitor()
    assert await monitor.alive() == "connecting to the database"
    health.poller = Still()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(NotWellError, match="has not looked for work for 301 s"):
        await monitor.alive()


async def test_the_door_tells_what_it_does(
    start_door: StartDoor, client: httpx.AsyncClient
) -> None:
    door = await start_door(**ON)
    url = await address(door)
    await door.meta.post(received(message("text"), message("image")))
    await door.meta.post(received(message()), X_Hub_Signature_256="sha256=0")
    await door.meta.post(b"{")
    await door.meta.verify()
    await door.meta.verify("wrong")

    found = await samples(client, url)

    results = {"stored", "bad_signature", "not_json", "verified", "not_verified"}
    for result in results:
        assert found[f"pgmedia_webhook_requests_total{{result={result}}}"] == 1, result
    assert found["pgmedia_webhook_duration_seconds_count"] == 3
    assert found["pgmedia_webhook_messages_total{kind=new}"] == 2
    assert found["pgmedia_webhook_media_total{outcome=queued}"] == 1
    assert found["pgmedia_database_up"] == 1
    assert (await client.get(f"{url}/healthz")).text == "ok: at the door\n"
    assert (await client.get(f"{url}/readyz")).text == "ok: the database answers\n"
    assert (await client.get(f"{url}/webhook")).status_code == 404
    assert (await client.get(door.meta.url.replace("/webhook", "/metrics"))).status_code == 404


async def test_a_taken_port_is_said(start_poller: StartPoller) -> None:
    url = await address(await start_poller(**ON))
    port = url.rpartition(":")[2]

    second = await start_poller(PGMEDIA_METRICS_PORT=port)

    assert await second.ended() == 1
    (line,) = second.log.read_text().splitlines()
    assert line.startswith(f"pgmedia: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert line.endswith("; see PGMEDIA_METRICS_HOST and PGMEDIA_METRICS_PORT")


async def test_there_is_no_port_unless_one_is_set(settings: Settings) -> None:
    assert settings.pgmedia_metrics_port is None


async def test_a_database_that_only_reads_is_of_no_use(
    db: Any, database: str, start_poller: StartPoller, start_door: StartDoor,
    client: httpx.AsyncClient, operator: str, tmp_path: Path,
) -> None:  # fmt: skip
    poller = await address(await start_poller(**ON))
    door = await address(await start_door(**ON))
    for url in (poller, door):
        await eventually(partial(answers, client, url, 200))
    name = database.rpartition("/")[2]
    await db.execute(f'alter database "{name}" set default_transaction_read_only = on')
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )

    for url in (poller, door):
        await eventually(partial(answers, client, url, 503, "the database takes no writes\n"))
        assert (await samples(client, url))["pgmedia_database_up"] == 0
    done = await asyncio.to_thread(pgmedia, "doctor", cwd=tmp_path, DATABASE_URL=operator)
    assert done.returncode == 1
    assert re.search("^wrong +database: PostgreSQL .* takes no writes", done.stdout, re.MULTILINE)


async def answers(client: httpx.AsyncClient, url: str, status: int, text: str = "") -> bool:
    answer = await client.get(f"{url}/readyz")
    return answer.status_code == status and text in answer.text
