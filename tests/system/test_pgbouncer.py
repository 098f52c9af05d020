"""Behind a transaction pooler: the poller notices, polls instead of listening, and loses nothing.

Needs Debian's pgbouncer; run by .ci/run, not by `make test`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from poller.db import has_own_session
from poller.doctor import Finding, Findings, examine
from poller.sandbox.postgres import free_port, unprivileged
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import POLLER_PASSWORD, POLLER_USER, StartPoller
from tests.helpers import eventually, queue_media
from tests.test_monitor import address


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may enter."""
    with tempfile.TemporaryDirectory(prefix="pgmedia-pgbouncer-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["transaction", "session"])
async def pooled(request: pytest.FixtureRequest, database: str, folder: Path) -> AsyncIterator[Any]:
    """DSN of the test's database through a pgbouncer, and the mode of that."""
    server, port = urlsplit(database), free_port()
    users = folder / "users.txt"
    users.write_text(f'"{POLLER_USER}" "{POLLER_PASSWORD}"\n"{server.username}" ""\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(f"""
[databases]
* = host={server.hostname} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {request.param}
default_pool_size = 20
""")
    process = await asyncio.create_subprocess_exec(
        "pgbouncer", settings, stderr=asyncio.subprocess.DEVNULL,
        **unprivileged(),  # it refuses to run as root
    )  # fmt: skip
    address = server._replace(netloc=f"{POLLER_USER}:{POLLER_PASSWORD}@127.0.0.1:{port}")
    dsn = urlunsplit(address)
    await eventually(lambda: answers(port))
    yield request.param, dsn
    process.terminate()
    await process.wait()


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_whether_a_connection_keeps_its_session(pooled: Any) -> None:
    mode, dsn = pooled

    assert await has_own_session(dsn) is (mode == "session")


async def test_a_poller_behind_a_pooler_stores_everything(
    pooled: Any, db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    mode, dsn = pooled
    for number in range(60):
        content = variant(SAMPLES[0], number)
        await queue_media(
            db, whatsapp.add_media(content, "image/jpeg"), phone_number_id=str(number % 4)
        )

    poller = await start_poller(DATABASE_URL=dsn, PGMEDIA_METRICS_PORT="0")

    await eventually(lambda: db.fetchval("select count(*) = 60 from media where processed"))
    mode_words = "woken by LISTEN" if mode == "session" else "polling"
    async with httpx.AsyncClient(timeout=30) as client:
        ready = await client.get(f"{await address(poller)}/readyz")
    assert (ready.status_code, ready.text) == (200, f"ok: {mode_words}\n")
    text = poller.log.read_text()
    assert ("statement cache off" in text) is (mode == "transaction")
    assert "ERROR" not in text


async def test_the_doctor_says_so(
    pooled: Any, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode, dsn = pooled
    for name, value in (environment | {"DATABASE_URL": dsn}).items():
        monkeypatch.setenv(name, value)
    made: list[Finding] = []

    await examine(Findings(made.append))

    found = {one.check: one for one in made}
    assert found["schema"].state == "ok"
    assert found["listen"].state == ("ok" if mode == "session" else "note")
    if mode == "transaction":
        assert "as behind a transaction pooler: pollers look every 0.2 s" in found["listen"].text
