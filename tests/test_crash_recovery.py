"""Whatever crashes on the way: pollers, the database, the providers. Real processes and signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import read_only
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import bad_token, rate_limited
from tests.conftest import POLLER_USER, StartPoller
from tests.helpers import children, events, eventually, queue_media, status

JPEG = SAMPLES[0].read()


async def stored(db: Any, media: Any) -> Any:
    return await eventually(
        lambda: db.fetchrow("select * from media where id = $1 and processed", media)
    )


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

    await stored(db, media)
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

    row = await stored(db, media)
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
    await stored(db, media)
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


async def test_work_whose_lease_was_lost_is_dropped(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '1 second'")
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


async def test_leases_outlast_slow_work(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '1 second'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()
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
    await stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]


async def test_a_passing_fault_is_retried(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    whatsapp.faults.once("metadata", Fault(status=500, body="<html>oops"))
    whatsapp.faults.once("download", Fault.disconnect(after=10))
    storage.faults.once("upload", Fault(status=502, body="<html>bad gateway"))
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()

    await stored(db, media)

    codes = await db.fetch(
        "select detail ->> 'code' as code from get_media_audit_trail($1)"
        " where event = 'attempt failed'",
        media,
    )
    assert [row["code"] for row in codes] == [
        "whatsapp_unavailable", "whatsapp_unreachable", "storage_failed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "fault", "scope", "reason"),
    [
        ("metadata", bad_token(), "whatsapp:4711", "whatsapp_token_refused"),
        ("metadata", rate_limited(), "whatsapp:4711", "whatsapp_rate_limited"),
        ("upload", read_only(), "storage", "storage_unavailable"),
    ],
)
async def test_a_source_at_fault_is_paused_and_spends_no_attempt(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller,
    route: str, fault: Fault, scope: str, reason: str,
) -> None:  # fmt: skip
    faults = storage.faults if route == "upload" else whatsapp.faults
    faults.always(route, fault)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="4711")
    await start_poller()
    await eventually(lambda: db.fetchval("select count(*) from media_pauses") or False)

    pause = await db.fetchrow("select * from media_pauses")
    waiting = await eventually(lambda: _pending(db, media))
    faults.clear()
    assert await db.fetchval("select resume_media_source($1)", scope)

    assert (pause["scope"], pause["reason"]) == (scope, reason)
    assert waiting["attempts"] == 0
    await stored(db, media)


async def _pending(db: Any, media: Any) -> Any:
    row = await status(db, media)
    return row if row["status"] == "pending" else None


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
    await stored(db, media)
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

    await eventually(reads_only, 8)
    await db.execute(f"alter role {POLLER_USER} set default_transaction_read_only = off")

    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await stored(db, media)
    await db.close()


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
    await stored(db, media)
    assert storage.uploads.total() == 1


async def test_a_check_that_hangs_harms_only_its_own_file(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '10 ms'")
    poller = await start_poller(PGMEDIA_CHECK_SECONDS="0.5", PGMEDIA_CONCURRENCY="1")
    first = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await stored(db, first)
    (child,) = children(poller.process.pid)

    os.kill(child, signal.SIGSTOP)
    media = await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], 1), "image/jpeg"))

    await stored(db, media)
    trail = await db.fetch("select detail ->> 'code' from get_media_audit_trail($1)", media)
    assert [row[0] for row in trail if row[0]] == ["content_check_failed"]
    assert children(poller.process.pid) != [child]


async def test_deleted_media_leave_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    twin = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await start_poller()
    await stored(db, media)
    await stored(db, twin)
    assert storage.uploads.total() == 1

    await db.execute("select delete_media($1)", media)
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    await db.execute("select delete_media($1)", twin)

    await eventually(lambda: not list((files / "images").rglob("*.*")))
    await eventually(lambda: _no_objects(db))


async def _no_objects(db: Any) -> bool:
    return await db.fetchval("select count(*) from media_objects") == 0


async def test_an_upload_that_failed_without_a_lease_leaves_no_file(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    """Storage kept the file and its answer was lost; meanwhile the attachment was cancelled."""
    lost_answer = Fault.stall()
    storage.faults.once("upload", lost_answer)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(PGMEDIA_TIMEOUT_SECONDS="2")
    await lost_answer.reached.wait()
    assert list((files / "images").rglob("*.jpg"))

    await db.execute("select cancel_media($1)", media)
    await db.execute("delete from media_deletion_queue")  # as if it had been carried out before
    await poller.logged("lease lost")

    await eventually(lambda: not list((files / "images").rglob("*.jpg")))
