"""Pollers that stand still, answers that never come, and what must not come of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import rate_limited
from tests.conftest import POLLER_USER, Connect, StartPoller
from tests.helpers import (
    children,
    claim,
    events,
    eventually,
    expire_lease,
    make_due,
    queue_media,
    status,
)

JPEG = SAMPLES[0].read()
SPENT = "whatsapp_refusals_spent"
END_LEASES = (
    "update media_processing_queue set lease_until = now() - interval '1 s'"
    " where status = 'processing'"
)


async def is_stored(db: Any, media: Any) -> None:
    await eventually(lambda: db.fetchval("select processed from media where id = $1", media))


def files_in(files: Path) -> list[str]:
    return [file.name for file in (files / "images").rglob("*.*")]


async def test_a_poller_that_stood_still_while_it_downloaded(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    frozen = await start_poller()
    await stall.reached.wait()

    frozen.process.send_signal(signal.SIGSTOP)
    await expire_lease(db, media)
    await start_poller()
    await is_stored(db, media)
    stall.released.set()
    frozen.process.send_signal(signal.SIGCONT)

    await frozen.logged("lease lost")
    assert await events(db, media) == ["queued", "claimed", "lease expired", "claimed", "stored"]
    assert storage.uploads.total() == 1
    assert len(files_in(files)) == 1


async def test_a_poller_that_stood_still_after_its_upload_harms_no_file_in_use(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    stall = Fault.stall()
    storage.faults.once("upload", stall)  # the file is there, its poller does not know it yet
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    frozen = await start_poller()
    await stall.reached.wait()

    frozen.process.send_signal(signal.SIGSTOP)
    await expire_lease(db, media)
    await start_poller()
    await is_stored(db, media)
    stall.released.set()
    frozen.process.send_signal(signal.SIGCONT)

    await frozen.logged("lease lost")
    frozen.terminate()
    assert await frozen.ended() == 0
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert files_in(files) == [Path((await status(db, media))["storage_path"]).name]


async def test_an_upload_that_arrives_after_its_file_was_deleted_leaves_nothing(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    stall = Fault.stall()
    storage.faults.once("upload", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    frozen = await start_poller()
    await stall.reached.wait()

    frozen.process.send_signal(signal.SIGSTOP)
    await expire_lease(db, media)
    await start_poller()
    await is_stored(db, media)
    path = (await status(db, media))["storage_path"]
    await db.execute("select delete_media($1)", media)
    await eventually(lambda: not files_in(files))
    async with httpx.AsyncClient() as client:  # what stood still somewhere on its way, too
        key = {"Authorization": f"Bearer {storage.service_key}", "Content-Type": "image/jpeg"}
        await client.post(
            f"{storage.url}/storage/v1/object/images/{path}", headers=key, content=JPEG
        )
    assert files_in(files)
    stall.released.set()
    frozen.process.send_signal(signal.SIGCONT)

    await frozen.logged("lease lost")
    await db.execute("notify pgmedia_wake")
    await eventually(lambda: not files_in(files))


async def test_a_poller_killed_in_its_last_attempt_leaves_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set max_attempts = 1")
    lost_answer = Fault.stall()
    storage.faults.once("upload", lost_answer)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    victim = await start_poller()
    await lost_answer.reached.wait()
    assert files_in(files)

    victim.kill()
    await victim.ended()
    await expire_lease(db, media)
    await start_poller()

    await eventually(lambda: db.fetchval("select count(*) from media_deletion_queue"))
    assert (await status(db, media))["error_code"] == "lease_expired"
    await make_due(db)  # a lease later
    await db.execute("notify pgmedia_wake")
    await eventually(lambda: not files_in(files))
    await eventually(lambda: db.fetchval("select count(*) = 0 from media_deletion_queue"))
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_an_operator_cancels_what_is_being_downloaded(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller()
    await stall.reached.wait()

    await db.execute("select cancel_media($1)", media)
    stall.released.set()

    await poller.logged("lease lost")
    assert (await status(db, media))["status"] == "cancelled"
    assert await events(db, media) == ["queued", "claimed", "cancelled"]
    assert not storage.uploads
    assert await db.fetchval("select count(*) from media_objects") == 0


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


async def test_pollers_that_die_with_refusals_unheard_stay_within_the_limit(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """The token has expired, and whoever asks is killed or stopped before the answer comes."""
    await db.execute("update media_settings set refusals_per_hour = 6")
    whatsapp.token = "another, since the poller's has expired"
    for _ in range(30):
        await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    first = await start_poller("--drain", PGMEDIA_CONCURRENCY="1")
    assert await first.ended() == 0
    assert whatsapp.refused == 1
    whatsapp.faults.always("metadata", Fault.stall())

    for number in range(5):
        await db.execute("update media_pauses set until = now()")
        await make_due(db)
        victim = await start_poller()
        await eventually(lambda number=number: whatsapp.refused == 2 + number)
        if number % 2:
            victim.kill()
            await victim.ended()
            await db.execute(END_LEASES)
        else:
            victim.terminate()
            await victim.logged("stopping")
            victim.terminate()
            assert await victim.ended() == 0
        await claim(db, 0)  # rescues
    await make_due(db)
    last = await start_poller("--drain")
    assert await last.ended() == 0

    assert await db.fetchval("select reason from media_pauses") == SPENT
    assert whatsapp.refused == 6


async def test_a_refusal_that_comes_after_the_lease_counts(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    whatsapp.token = "another, since the poller's has expired"
    stall = Fault.stall()
    whatsapp.faults.once("metadata", stall)
    poller = await start_poller()
    await poller.logged("woken by LISTEN/NOTIFY")  # it renews again in twenty seconds
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    await stall.reached.wait()

    async with db.transaction():  # or the poller itself is quicker
        await expire_lease(db, media)
        assert list(await claim(db, poller="another")) == [media]
    stall.released.set()

    await eventually(lambda: db.fetchval("select cardinality(refused_at) = 1 from media_sources"))


async def test_retry_after_is_honoured(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    whatsapp.faults.once("metadata", rate_limited(retry_after=1800))
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    await start_poller()
    left = await eventually(lambda: db.fetchval("select until - now() from media_pauses"))
    assert 1700 < left.total_seconds() <= 1800
    asked = whatsapp.metadata_requests.total()

    await db.execute("update media_pauses set until = now()")
    await make_due(db)

    await is_stored(db, media)
    assert whatsapp.metadata_requests.total() == asked + 1
    assert await db.fetchval("select count(*) from media_pauses") == 0


async def test_a_check_that_crashes_harms_only_its_own_file(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    poller = await start_poller(PGMEDIA_CONCURRENCY="1")
    await is_stored(db, await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg")))
    (child,) = children(poller.process.pid)
    os.kill(child, signal.SIGSTOP)  # it holds the file
    content = variant(SAMPLES[0], 1)
    media_id = whatsapp.add_media(content, "image/jpeg")
    media = await queue_media(db, media_id)
    await whatsapp.wait_for_download(media_id)

    os.kill(child, signal.SIGKILL)

    await is_stored(db, media)
    trail = await db.fetch("select detail ->> 'code' from get_media_audit_trail($1)", media)
    assert [row[0] for row in trail if row[0]] in ([], ["content_check_failed"])
    assert poller.process.returncode is None


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


async def test_leases_are_renewed_while_all_other_calls_wait_for_a_lock(
    connect: Connect, db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """An operator holds the rows that many jobs need; a download that needs none goes on."""
    await db.execute("update media_settings set lease = '1 second'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    slow = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()
    await stall.reached.wait()
    for number in range(1, 12):
        await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], number), "image/jpeg"))
    holder = await connect()
    async with holder.transaction():
        await holder.execute("lock table media_objects in exclusive mode")
        waiting = (
            "select count(*) > 5 from pg_stat_activity"
            " where wait_event_type = 'Lock' and datname = current_database()"
        )
        await eventually(lambda: db.fetchval(waiting))
        now = await db.fetchval("select clock_timestamp()")
        renewed = "select lease_until > $2::timestamptz + interval '2 seconds' from"
        await eventually(
            lambda: db.fetchval(f"{renewed} media_processing_queue where id = $1", slow, now)
        )
    stall.released.set()

    await is_stored(db, slow)
    assert await events(db, slow) == ["queued", "claimed", "stored"]


async def test_leases_that_ended_while_the_database_was_away_are_renewed_first(
    own_server: PostgresServer, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """And not taken by the claim of the very poller that is at work."""
    db: Any = await asyncpg.connect(own_server.dsn())
    await db.execute(f"create role {POLLER_USER} login in role media_poller")
    await db.execute("update media_settings set lease = '1 second'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media_id = whatsapp.add_media(JPEG, "image/jpeg")
    media = await queue_media(db, media_id)
    poller = await start_poller(
        DATABASE_URL=own_server.dsn(user=POLLER_USER), PGMEDIA_POLL_SECONDS="0.05"
    )
    await stall.reached.wait()

    db.terminate()
    own_server.stop(signal.SIGINT)
    await eventually(lambda: poller.log.read_text().count("cannot claim") > 25)
    own_server.start()
    await poller.logged("woken by LISTEN/NOTIFY")
    db = await asyncpg.connect(own_server.dsn())
    await eventually(lambda: db.fetchval("select lease_until > now() from media_processing_queue"))
    stall.released.set()

    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]
    assert whatsapp.downloads[media_id] == 1
    await db.close()
