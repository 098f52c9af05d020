"""The database goes away, only reads, or loses an answer, and pollers go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import POLLER_USER, StartPoller
from tests.helpers import (
    events,
    eventually,
    is_stored,
    queue_media,
    status,
)

JPEG = SAMPLES[0].read()


async def test_a_lost_listener_listens_again(db: Any, start_poller: StartPoller) -> None:
    poller = await start_poller(PGMEDIA_POLL_SECONDS="0.1")
    await poller.logged("woken by LISTEN/NOTIFY")
    find = (
        "select pid from pg_stat_activity"
        " where datname = current_database() and application_name like '%listener'"
    )
    first = await db.fetchval(find)

    await db.fetchval("select pg_terminate_backend($1)", first)

    await eventually(lambda: db.fetchval(f"{find} and pid <> $1", first))
    await eventually(lambda: poller.log.read_text().count("woken by LISTEN/NOTIFY") == 2)


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
async def test_the_poller_survives_a_restart_of_the_database(
    own_server: PostgresServer, whatsapp: WhatsAppApi, storage: StorageApi,
    start_poller: StartPoller, how: signal.Signals,
) -> None:  # fmt: skip
    db: Any = await asyncpg.connect(own_server.dsn())
    await db.execute(f"create role {POLLER_USER} login in role media_poller")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media_id = whatsapp.add_media(JPEG, "image/jpeg")
    media = await queue_media(db, media_id)
    poller = await start_poller(DATABASE_URL=own_server.dsn(user=POLLER_USER))
    await stall.reached.wait()

    db.terminate()
    own_server.stop(how)
    stall.released.set()
    await poller.logged("database away")
    own_server.start()

    db = await asyncpg.connect(own_server.dsn())
    await is_stored(db, media)
    assert whatsapp.downloads[media_id] == 1  # the work in hand was kept
    assert storage.uploads.total() == 1
    await db.close()


async def test_the_poller_survives_a_failover_to_a_server_that_only_reads(
    own_server: PostgresServer, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    db: Any = await asyncpg.connect(own_server.dsn())
    await db.execute(f"create role {POLLER_USER} login in role media_poller")
    poller = await start_poller(DATABASE_URL=own_server.dsn(user=POLLER_USER))
    await poller.logged("woken by LISTEN/NOTIFY")

    await db.execute(f"alter role {POLLER_USER} set default_transaction_read_only = on")
    since = await db.fetchval("select clock_timestamp()")

    async def reads_only() -> bool:
        await db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = $1 and backend_start < $2",
            POLLER_USER, since,
        )  # fmt: skip
        return "cannot execute" in poller.log.read_text()

    await eventually(reads_only)
    await db.execute(f"alter role {POLLER_USER} set default_transaction_read_only = off")

    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await is_stored(db, media)
    await db.close()


def files_in(files: Path) -> list[str]:
    return [file.name for file in (files / "images").rglob("*.*")]


@dataclass
class CutProxy:
    """Stands between a poller and Postgres, and loses the answer to one call."""

    dsn: str
    cuts: str
    lost: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def pass_on(self, poller: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server = urlsplit(self.dsn)
        from_server, to_server = await asyncio.open_connection(server.hostname, server.port)
        called = asyncio.Event()

        async def upwards() -> None:
            while piece := await poller.read(65_536):
                if self.cuts.encode() in piece and not self.lost:
                    called.set()
                to_server.write(piece)
            to_server.close()

        async def downwards() -> None:
            while piece := await from_server.read(65_536):
                if called.is_set() and piece[-6:-1] == b"Z\0\0\0\5":  # the call is committed
                    self.lost += 1
                    break
                answers.write(piece)
            answers.close()

        self.writers += [answers, to_server]
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(upwards(), downwards())
        to_server.close()


@pytest.fixture
async def cut(environment: dict[str, str]) -> AsyncIterator[CutProxy]:
    proxy = CutProxy(environment["DATABASE_URL"], "finish_media_upload")
    server = await asyncio.start_server(proxy.pass_on, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(proxy.dsn)
    login = parts.netloc.rpartition("@")[0]
    environment["DATABASE_URL"] = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
    yield proxy
    server.close()
    for writer in proxy.writers:
        writer.transport.abort()
    await asyncio.sleep(0)  # the transports close


async def test_a_finish_whose_answer_is_lost_was_a_finish(
    cut: CutProxy, db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller("--drain")

    assert await poller.ended() == 0

    assert cut.lost == 1
    assert "database away" in poller.log.read_text()
    assert await events(db, media) == ["queued", "claimed", "stored"]
    assert storage.uploads.total() == 1
    assert files_in(files) == [Path((await status(db, media))["storage_path"]).name]
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0


async def test_postgres_crashes_in_the_middle_of_a_finish(
    own_server: PostgresServer, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    db: Any = await asyncpg.connect(own_server.dsn())
    await db.execute(f"create role {POLLER_USER} login in role media_poller")
    stall = Fault.stall()
    storage.faults.once("upload", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(DATABASE_URL=own_server.dsn(user=POLLER_USER))
    await stall.reached.wait()
    await db.execute("begin")
    await db.execute("select from media_objects for update")  # a finish gets so far
    stall.released.set()
    watcher: Any = await asyncpg.connect(own_server.dsn())
    await eventually(
        lambda: watcher.fetchval(
            "select count(*) from pg_stat_activity"
            " where wait_event_type = 'Lock' and query like '%finish_media_upload%'"
        )
    )

    own_server.stop(signal.SIGQUIT)  # before the lock is given back
    db.terminate()
    watcher.terminate()
    await poller.logged("database away")
    own_server.start()

    db = await asyncpg.connect(own_server.dsn())
    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]
    assert storage.uploads.total() == 1
    assert files_in(files) == [Path((await status(db, media))["storage_path"]).name]
    await db.close()


async def test_leases_that_ended_while_the_database_was_away_are_renewed_first(
    own_server: PostgresServer, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """And not taken by the claim of the very poller that is at work."""
    db: Any = await asyncpg.connect(own_server.dsn())
    await db.execute(f"create role {POLLER_USER} login in role media_poller")
    await db.execute("update media_settings set lease = '2 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media_id = whatsapp.add_media(JPEG, "image/jpeg")
    media = await queue_media(db, media_id)
    poller = await start_poller(
        DATABASE_URL=own_server.dsn(user=POLLER_USER), PGMEDIA_POLL_SECONDS="0.05",
        PGMEDIA_TIMEOUT_SECONDS="100",
    )  # fmt: skip
    await stall.reached.wait()

    db.terminate()
    own_server.stop(signal.SIGINT)
    await poller.logged("cannot claim")
    await asyncio.sleep(2)  # the lease ends, which nobody can age now
    own_server.start()
    await poller.logged("woken by LISTEN/NOTIFY")
    db = await asyncpg.connect(own_server.dsn())
    await eventually(lambda: db.fetchval("select lease_until > now() from media_processing_queue"))
    stall.released.set()

    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]
    assert whatsapp.downloads[media_id] == 1
    await db.close()
