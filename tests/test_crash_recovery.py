"""Pollers are killed and stopped, and others do what they had in hand: real processes, signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import Connect, StartPoller
from tests.helpers import (
    events,
    eventually,
    is_stored,
    queue_media,
    status,
)

JPEG = SAMPLES[0].read()


async def test_an_attachment_survives_a_killed_poller(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    media_id = whatsapp.add_media(JPEG, "image/jpeg")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, media_id)
    victim = await start_poller()
    await stall.reached.wait()

    victim.kill()
    await victim.ended()
    await db.execute("update media_processing_queue set lease_until = now() - interval '1 s'")
    await start_poller()

    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "lease expired", "claimed", "stored"]
    assert storage.uploads.total() == 1


async def test_a_poller_killed_after_its_upload_leaves_no_second_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    lost_answer = Fault.stall()
    storage.faults.once("upload", lost_answer)  # the file is there, its poller never hears so
    victim = await start_poller()
    await lost_answer.reached.wait()

    victim.kill()
    await victim.ended()
    await db.execute("update media_processing_queue set lease_until = now() - interval '1 s'")
    await start_poller()

    row = await is_stored(db, media)
    assert [file.name for file in (files / "images").rglob("*.*")] == [
        Path(row["storage_path"]).name
    ]
    assert storage.uploads.total() == 2  # the second over the first


async def test_sigterm_finishes_what_is_in_hand_and_claims_nothing_more(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller()
    await stall.reached.wait()

    poller.terminate()
    await poller.logged("stopping")
    late = await queue_media(db, whatsapp.add_media(SAMPLES[1].read(), "image/png"))
    stall.released.set()

    assert await poller.ended() == 0
    await is_stored(db, media)
    assert (await status(db, late))["status"] == "pending"
    assert await db.fetchval("select count(*) from media_pollers") == 0


async def test_what_outlasts_the_grace_time_is_given_back_unspent(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_GRACE_SECONDS="0.1")
    await stall.reached.wait()

    poller.terminate()

    assert await poller.ended() == 0
    after = await status(db, media)
    assert (after["status"], after["attempts"]) == ("pending", 0)
    assert await events(db, media) == ["queued", "claimed", "released"]


async def test_a_second_sigterm_gives_back_at_once(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_GRACE_SECONDS="100")
    await stall.reached.wait()

    poller.terminate()
    await poller.logged("stopping")
    poller.terminate()

    assert await poller.ended() == 0
    after = await status(db, media)
    assert (after["status"], after["attempts"]) == ("pending", 0)


async def test_leases_outlast_slow_work(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller(PGMEDIA_TIMEOUT_SECONDS="100")
    await stall.reached.wait()
    first = await db.fetchval("select lease_until from media_processing_queue")

    await eventually(
        lambda: db.fetchval(
            "select lease_until > $1::timestamptz + interval '1 second'"
            " from media_processing_queue",
            first,
        )
    )

    stall.released.set()
    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]


async def test_a_passing_fault_is_retried(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    whatsapp.faults.once("metadata", Fault(status=500, body="<html>oops"))
    whatsapp.faults.once("download", Fault.disconnect(after=10))
    storage.faults.once("upload", Fault(status=500, body="<html>oops"))
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()

    await is_stored(db, media)

    codes = await db.fetch(
        "select detail ->> 'code' as code from get_media_audit_trail($1)"
        " where event = 'attempt failed'",
        media,
    )
    assert [row["code"] for row in codes] == [
        "whatsapp_unavailable", "whatsapp_unreachable", "storage_failed",
    ]  # fmt: skip


async def test_a_full_disk_gives_the_work_back_and_rests(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    media = await queue_media(db, whatsapp.add_media(JPEG + b"\0" * 3_000_000, "image/jpeg"))
    poller = await start_poller(most_file_bytes=2_000_000, PGMEDIA_POLLER_NAME="full")
    pause = await eventually(lambda: db.fetchrow("select * from media_pauses"))

    assert (pause["scope"], pause["reason"]) == ("poller:full", "spool_full")
    poller.terminate()
    assert await poller.ended() == 0
    assert (await status(db, media))["attempts"] == 0
    await start_poller()  # another one has room
    await is_stored(db, media)
    assert storage.uploads.total() == 1


async def test_deleted_media_leave_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    twin = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()
    await is_stored(db, media)
    await is_stored(db, twin)
    assert storage.uploads.total() == 1

    await db.execute("select delete_media($1)", media)
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    await db.execute("select delete_media($1)", twin)

    await eventually(lambda: not list((files / "images").rglob("*.*")))
    await eventually(lambda: _no_objects(db))


async def _no_objects(db: Any) -> bool:
    return await db.fetchval("select count(*) from media_objects") == 0


async def test_leases_are_renewed_while_nobody_can_be_told_of_the_work(
    connect: Connect, db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller(PGMEDIA_TIMEOUT_SECONDS="100", PGMEDIA_CONCURRENCY="1")
    await stall.reached.wait()
    holder = await connect()
    async with holder.transaction():
        await holder.execute("select from media_pollers for update")
        now = await db.fetchval("select clock_timestamp()")
        renewed = "select lease_until > $2::timestamptz + interval '7 seconds' from"
        await eventually(
            lambda: db.fetchval(f"{renewed} media_processing_queue where id = $1", media, now)
        )
    stall.released.set()

    await is_stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]


async def test_leases_are_renewed_while_all_other_calls_wait_for_a_lock(
    connect: Connect, db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """An operator holds the rows that many jobs need; a download that needs none goes on."""
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    slow = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller(PGMEDIA_TIMEOUT_SECONDS="100")
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
        renewed = "select lease_until > $2::timestamptz + interval '4 seconds' from"
        await eventually(
            lambda: db.fetchval(f"{renewed} media_processing_queue where id = $1", slow, now)
        )
    stall.released.set()

    await is_stored(db, slow)
    assert await events(db, slow) == ["queued", "claimed", "stored"]
