"""Pollers that stand still or are killed at their uploads, and what must not come of it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import PollerProcess, StartPoller
from tests.helpers import (
    events,
    eventually,
    expire_lease,
    is_stored,
    make_due,
    queue_media,
    status,
)

JPEG, PNG = SAMPLES[0].read(), SAMPLES[1].read()


def files_in(files: Path) -> list[str]:
    return [file.name for file in (files / "images").rglob("*.*")]


async def stand_still(
    db: Any, stall: Fault, media: UUID, start_poller: StartPoller
) -> PollerProcess:
    """A poller stands still where the stall has it; its lease ends, and another stores the file."""
    frozen = await start_poller()
    await stall.reached.wait()
    frozen.process.send_signal(signal.SIGSTOP)
    await expire_lease(db, media)
    await start_poller()
    await is_stored(db, media)
    return frozen


def go_on(frozen: PollerProcess, stall: Fault) -> None:
    stall.released.set()
    frozen.process.send_signal(signal.SIGCONT)


async def test_work_whose_lease_was_lost_is_dropped(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_GRACE_SECONDS="100", PGMEDIA_TIMEOUT_SECONDS="100")
    await stall.reached.wait()

    await db.execute("delete from media where id = $1", media)

    await poller.logged("lease lost, work dropped")
    poller.terminate()
    assert await poller.ended() == 0  # nothing is in hand that it would wait for
    assert not storage.uploads


async def test_an_upload_that_came_after_its_removal_is_removed(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    stall = Fault.stall()
    storage.faults.once("upload", stall)  # the file is there, its poller does not know it yet
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller()
    await stall.reached.wait()
    assert list((files / "images").rglob("*.*"))

    await db.execute("select cancel_media($1)", media)
    await db.execute("delete from media_deletion_queue")  # as if done before the file was there
    stall.released.set()

    await poller.logged("lease lost")
    await db.execute("notify pgmedia_wake")
    await eventually(lambda: not list((files / "images").rglob("*.*")))


async def test_an_upload_that_failed_without_a_lease_leaves_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    """Storage kept the file and its answer was lost; meanwhile the attachment was cancelled."""
    lost_answer = Fault.stall()
    storage.faults.once("upload", lost_answer)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_TIMEOUT_SECONDS="5")
    await lost_answer.reached.wait()
    assert files_in(files)

    await db.execute("select cancel_media($1)", media)
    await db.execute("delete from media_deletion_queue")  # as if it had been carried out before
    await poller.logged("lease lost")

    await remove_a_lease_later(db)
    await eventually(lambda: not files_in(files))


@pytest.mark.parametrize("end", ["cancel", "delete"])
async def test_an_upload_that_is_dropped_with_its_lease_leaves_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller,
    end: str,
) -> None:  # fmt: skip
    """Storage is slow to answer; the renewal finds the lease gone, and the upload is dropped."""
    await db.execute("update media_settings set lease = '3 seconds'")
    slow = Fault.stall()
    storage.faults.once("upload", slow)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_TIMEOUT_SECONDS="100")
    await slow.reached.wait()
    assert files_in(files)

    async with db.transaction():
        await db.execute(f"select {end}_media($1)", media)
        await db.execute("delete from media_deletion_queue")  # as if done before the file was there
    await poller.logged("lease lost, work dropped")

    await remove_a_lease_later(db)
    await eventually(lambda: not files_in(files))
    poller.terminate()
    assert await poller.ended() == 0


async def remove_a_lease_later(db: Any) -> None:
    """What may still have come by then is removed."""
    await eventually(lambda: db.fetchval("select count(*) from media_deletion_queue"))
    await make_due(db)
    await db.execute("notify pgmedia_wake")


async def test_a_poller_that_stood_still_while_it_downloaded(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    frozen = await stand_still(db, stall, media, start_poller)
    go_on(frozen, stall)

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
    frozen = await stand_still(db, stall, media, start_poller)
    go_on(frozen, stall)

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
    frozen = await stand_still(db, stall, media, start_poller)
    path = (await status(db, media))["storage_path"]
    await db.execute("select delete_media($1)", media)
    await eventually(lambda: not files_in(files))
    async with httpx.AsyncClient() as client:  # what stood still somewhere on its way, too
        key = {"Authorization": f"Bearer {storage.service_key}", "Content-Type": "image/jpeg"}
        await client.post(
            f"{storage.url}/storage/v1/object/images/{path}", headers=key, content=JPEG
        )
    assert files_in(files)
    go_on(frozen, stall)

    await frozen.logged("lease lost")
    queued = "select count(*) from media_deletion_queue"
    await eventually(lambda: not files_in(files) or db.fetchval(queued))
    await make_due(db)  # when its renewal was quicker than its upload, that may still be under way
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


async def test_a_job_comes_back_to_the_poller_that_still_works_on_it(
    db: Any, whatsapp: WhatsAppApi, files: Path, start_poller: StartPoller
) -> None:
    """Cancelled and retried before the next renewal: the attempt that was lost harms none."""
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller()
    await stall.reached.wait()

    await db.execute("select cancel_media($1)", media)
    await db.execute("select retry_media($1)", media)
    await is_stored(db, media)
    stall.released.set()

    await poller.logged("lease lost")
    await is_stored(db, await queue_media(db, whatsapp.add_media(PNG, "image/png")))
    poller.terminate()
    assert await poller.ended() == 0
    assert len(files_in(files)) == 2


async def test_of_a_job_claimed_twice_the_first_is_dropped(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '3 seconds'")
    first, second = Fault.stall(after=10), Fault.stall(after=10)
    whatsapp.faults.once("download", first)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_TIMEOUT_SECONDS="100")
    await first.reached.wait()
    whatsapp.faults.once("download", second)

    async with db.transaction():
        await db.execute("select cancel_media($1)", media)
        await db.execute("select retry_media($1)", media)
    await second.reached.wait()

    await poller.logged("lease lost, work dropped")
    second.released.set()
    await is_stored(db, media)
    assert (await events(db, media)).count("claimed") == 2
