"""The files move to another Supabase project while a poller works: it stops, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from poller.db import Database, WrongProjectError
from poller.records import Job
from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import Connect, PollerProcess, StartPoller
from tests.helpers import (
    events,
    eventually,
    is_stored,
    queue_many,
    queue_media,
    queue_row,
    sha256,
)

JPEG = SAMPLES[0].read()
OTHER = "https://other.supabase.co"


async def move(db: Any, url: str = OTHER) -> None:
    await db.execute("select set_media_project_url($1)", url)


async def stopped(poller: PollerProcess, storage: StorageApi) -> None:
    assert await poller.ended() == 2
    *_, last = poller.log.read_text().splitlines()
    assert last == (
        f"pgmedia: the files are in the storage of {OTHER}, not of '{storage.url}'. Correct"
        " SUPABASE_URL or DATABASE_URL; after a move of the project, run pgmedia buckets first."
    )


async def test_an_idle_poller(db: Any, storage: StorageApi, start_poller: StartPoller) -> None:
    poller = await start_poller()
    await eventually(lambda: db.fetchval("select bool_or(mode = 'listen') from media_pollers"))

    await move(db)

    await stopped(poller, storage)
    assert await db.fetchval("select count(*) from media_pollers") == 0


async def test_work_in_hand_is_given_back(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    """Its upload goes to the old project: it is not recorded, and spends no attempt."""
    stall = Fault.stall()
    storage.faults.once("upload", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_CONCURRENCY="1")  # so it does not ask for more
    await stall.reached.wait()

    await move(db)
    stall.released.set()

    await stopped(poller, storage)
    row = await queue_row(db, media)
    assert (row["status"], row["attempts"], row["last_error_code"]) == ("pending", 0, None)
    assert await events(db, media) == ["queued", "claimed", "released"]
    await move(db, storage.url)
    assert await (await start_poller("--drain")).ended() == 0
    await is_stored(db, media)


@pytest.mark.parametrize("concurrency", ["1", "2"], ids=["no free slot", "a free slot"])
async def test_work_that_takes_long_is_given_back_at_once(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller,
    concurrency: str,
) -> None:  # fmt: skip
    """The poller is told when it asks for more or, where there is no room, by its heartbeat."""
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall()
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(
        PGMEDIA_CONCURRENCY=concurrency, PGMEDIA_GRACE_SECONDS="100", PGMEDIA_TIMEOUT_SECONDS="100"
    )
    await stall.reached.wait()

    await move(db)

    await stopped(poller, storage)
    row = await queue_row(db, media)
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert not storage.uploads


async def test_a_move_while_a_group_of_uploads_is_being_recorded(
    connect: Connect, db: Any, database: str, storage: StorageApi
) -> None:
    """None of the group is, and all are told."""
    media = await queue_many(db, 3)
    poller = await Database.connect(database, "one")
    await poller.heartbeat("poll", 0, project_url=storage.url)
    recording = [await finishing(poller, job) for job in await poller.claim(3)]
    other = await connect()
    async with other.transaction():
        await other.execute("select from media where id = any ($1) for update", media[2:])
        answers = asyncio.gather(*(call() for call in recording), return_exceptions=True)
        await blocked_by(db, other)

        await move(db)

    assert [type(one) for one in await answers] == [WrongProjectError] * 3
    assert await db.fetchval("select count(*) from media where processed") == 0
    await poller.close()


async def finishing(poller: Database, job: Job) -> Callable[[], Awaitable[int]]:
    """What is left to do of a job: its upload has to be recorded."""
    content = sha256(job.id.bytes)
    begun = await poller.begin_upload(job, content, 1000, {"mime_type": "image/jpeg"})
    assert begun.object_id
    return partial(poller.finish_upload, job, content, begun.object_id, {})


async def blocked_by(db: Any, other: Any) -> None:
    held_up = "select count(*) from pg_stat_activity where $1 = any (pg_blocking_pids(pid))"
    await eventually(lambda: db.fetchval(held_up, other.get_server_pid()))


async def test_no_file_of_the_new_project_is_taken_for_removed(
    db: Any, storage: StorageApi, start_poller: StartPoller
) -> None:
    """In the old project it is not there, which would count as removed."""
    stall = Fault.stall()
    storage.faults.once("remove", stall)
    await db.execute(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " values ('images', '2026/01/a.jpg', 'test')"
    )
    poller = await start_poller()
    await stall.reached.wait()

    await move(db)
    stall.released.set()

    await stopped(poller, storage)
    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
