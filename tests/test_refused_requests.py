"""Requests that WhatsApp refuses, heard of or not: they stay within the limit of their number."""

from __future__ import annotations

from typing import Any

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import read_only
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import bad_token, rate_limited
from tests.conftest import Connect, StartPoller
from tests.helpers import (
    claim,
    eventually,
    expire_lease,
    is_stored,
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

REPORTING = (
    "select pid from pg_stat_activity where wait_event_type = 'Lock'"
    " and datname = current_database() and query like '%public.fail_media_job(%'"
)
"""Calls that tell of a failure and are held up."""


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
    await is_stored(db, media)


async def _pending(db: Any, media: Any) -> Any:
    row = await status(db, media)
    return row if row["status"] == "pending" else None


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


async def test_pollers_that_die_before_any_refusal_is_heard_stay_within_the_limit(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """No pause, no refusal is known: the token is refused, and no poller lives to say so."""
    whatsapp.token = "another, since the poller's has expired"
    whatsapp.faults.always("metadata", Fault.stall())
    for _ in range(60):
        await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")

    for _ in range(6):
        victims = [await start_poller() for _ in range(2)]
        await eventually(lambda: _asked_all(db, whatsapp))
        for victim in victims:
            victim.kill()
            await victim.ended()
        await db.execute(END_LEASES)
        await db.execute("update media_pauses set until = now()")
        await make_due(db)
    await claim(db, 0)  # rescues

    assert whatsapp.refused == 19
    assert await db.fetchval("select count(*) from media_unheard_requests") == 19


async def test_pollers_killed_between_a_refused_download_and_its_report_stay_within_the_limit(
    db: Any, connect: Connect, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    """WhatsApp tells what each file is, and refuses its bytes, of which only the poller knows."""
    await db.execute("update media_settings set refusals_per_hour = 6")
    whatsapp.url_lifetime = 0
    for _ in range(20):
        await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    other = await connect()

    for number in range(6):
        async with other.transaction():
            await other.execute("lock table media_failure_rules")  # for whom a report waits
            victim = await start_poller(PGMEDIA_CONCURRENCY="1")
            await eventually(lambda number=number: whatsapp.refused == number + 1)
            await eventually(lambda: db.fetchval(REPORTING))
            victim.kill()
            await victim.ended()
            await db.fetch(f"select pg_terminate_backend(pid) from ({REPORTING}) reports")
            await eventually(lambda: _none_reports(db))
        await db.execute(END_LEASES)
        await claim(db, 0)  # rescues
    await make_due(db)
    last = await start_poller("--drain")
    assert await last.ended() == 0

    assert await db.fetchval("select reason from media_pauses") == SPENT
    assert whatsapp.refused == 6


async def _none_reports(db: Any) -> bool:
    return not await db.fetch(REPORTING)


async def _asked_all(db: Any, whatsapp: WhatsAppApi) -> bool:
    """Whatever was claimed has been asked for, or nothing may be claimed any more."""
    row = await db.fetchrow(
        "select count(*) filter (where lease_until > now()) as live, count(*) + (select count(*)"
        " from media_unheard_requests) as asked, exists (select from media_pauses"
        " where until > now() and reason = $1) as spent"
        " from media_processing_queue where status = 'processing'",
        SPENT,
    )
    return whatsapp.refused == row["asked"] and bool(row["live"] or row["spent"])


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


async def test_an_answer_that_comes_after_the_lease_ends_all_doubt(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '1 hour'")  # no renewal ends the work
    stall = Fault.stall()
    whatsapp.faults.once("metadata", stall)
    await start_poller()
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    await stall.reached.wait()
    await db.execute("select cancel_media($1)", media)
    assert await db.fetchval("select count(*) from media_unheard_requests") == 1

    stall.released.set()

    await eventually(lambda: db.fetchval("select not exists (select from media_unheard_requests)"))


async def test_what_is_dropped_while_its_file_comes_was_not_refused(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set lease = '3 seconds'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    poller = await start_poller(PGMEDIA_TIMEOUT_SECONDS="100")
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), phone_number_id="1")
    await stall.reached.wait()
    await db.execute("select cancel_media($1)", media)
    assert await db.fetchval("select count(*) from media_unheard_requests") == 1

    await poller.logged("lease lost, work dropped")

    await eventually(lambda: db.fetchval("select not exists (select from media_unheard_requests)"))


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
