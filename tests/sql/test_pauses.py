"""How pauses grow, how one job probes, and how many requests a number may have refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    describe,
    events,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
)

SOURCE = "whatsapp:1"


async def queue_many(db: Any, count: int, number: str = "1") -> list[UUID]:
    return [await queue_media(db, phone_number_id=number) for _ in range(count)]


async def pause_row(db: Any) -> Any:
    return await db.fetchrow("select *, until - now() as remaining from media_pauses")


async def end_pauses(db: Any) -> None:
    await db.execute("update media_pauses set until = now() - interval '1 s'")
    await make_due(db)


async def refuse_one(db: Any) -> None:
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, code="190", http_status=401)


async def test_a_pause_that_is_confirmed_doubles_up_to_the_most(db: Any) -> None:
    await queue_many(db, 1)
    lengths: list[timedelta] = []
    for _ in range(6):
        await refuse_one(db)
        lengths.append((await pause_row(db))["remaining"])
        await end_pauses(db)

    minutes = [round(length.total_seconds() / 60) for length in lengths]
    assert minutes == [5, 10, 20, 40, 60, 60]


async def test_failures_of_jobs_in_work_are_no_strikes(db: Any) -> None:
    await queue_many(db, 5)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="190", http_status=401)

    assert (await pause_row(db))["strikes"] == 1


async def test_one_job_probes_and_its_success_frees_all(db: Any) -> None:
    await queue_many(db, 5)
    await refuse_one(db)
    assert await claim(db) == {}
    await end_pauses(db)

    ((media, token),) = (await claim(db)).items()
    assert await claim(db) == {}  # the probe is out
    await describe(db, media, token)

    assert await pause_row(db) is None
    assert len(await claim(db)) == 4


async def test_storage_probes_with_one_job_of_all_sources(db: Any) -> None:
    await queue_many(db, 2, "1")
    await queue_many(db, 2, "2")
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, source="storage", http_status=503)
    assert await claim(db) == {}
    await end_pauses(db)

    ((media, token),) = (await claim(db)).items()
    assert await claim(db) == {}
    begun = await begin_upload(db, media, token, content_hash=sha256(b"1"))
    assert (await pause_row(db))["scope"] == "storage"  # nothing is proven yet
    await finish_upload(db, media, token, begun["object_id"])

    assert len(await claim(db)) == 3


async def test_two_pollers_do_not_both_probe(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    await queue_many(db, 2, "1")
    await queue_many(db, 2, "2")
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, source="storage", http_status=503)
    await end_pauses(db)

    async with one.transaction():
        assert len(await claim(one, 10, "one")) == 1
        second = asyncio.create_task(claim(two, 10, "two"))
        await blocked(db, two)

    assert await second == {}


async def test_no_more_jobs_are_in_work_than_requests_may_be_refused(db: Any) -> None:
    await queue_many(db, 30)
    await queue_many(db, 3, "2")

    held = await claim(db)

    assert len(held) == 23
    assert await claim(db) == {}


async def test_every_refusal_of_the_last_hour_counts(db: Any) -> None:
    await queue_many(db, 60)
    for media, token in list((await claim(db)).items())[:12]:
        await fail(db, media, token, code="100", http_status=400)

    assert await claim(db) == {}  # 12 refused, 8 in work
    await db.execute(
        "update media_sources set refused_at ="
        " array(select t - interval '61 minutes' from unnest(refused_at) t)"
    )
    assert len(await claim(db)) == 12


async def test_spent_refusals_pause_the_number_until_the_oldest_is_an_hour_old(db: Any) -> None:
    await queue_many(db, 25)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="100", http_status=400)

    pause = await pause_row(db)

    assert (pause["scope"], pause["reason"]) == (SOURCE, "whatsapp_refusals_spent")
    assert timedelta(minutes=59) < pause["remaining"] <= timedelta(hours=1)
    assert await claim(db) == {}


async def test_failures_that_are_no_refusals_do_not_count(db: Any) -> None:
    await queue_many(db, 3)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, http_status=500)

    assert await db.fetchval("select refused_at from media_sources") == []


async def test_a_file_that_keeps_pausing_a_source_that_works_is_at_fault(db: Any) -> None:
    (bad,) = await queue_many(db, 1)
    for _ in range(12):
        held = await claim(db)
        await fail(db, bad, held[bad], code="10", http_status=403)
        await end_pauses(db)
        await db.execute("delete from media_pauses")  # others were served meanwhile

    held = await claim(db)
    verdict = await fail(db, bad, held[bad], code="10", http_status=403)

    assert (verdict["verdict"], verdict["failure_code"]) == ("failed", "whatsapp_permission_lost")
    assert (await queue_row(db, bad))["status"] == "failed"


async def test_after_a_pause_another_job_probes_than_the_one_that_failed(db: Any) -> None:
    await queue_many(db, 2)
    ((first, token),) = (await claim(db, 1)).items()
    await fail(db, first, token, code="10", http_status=403)
    await db.execute("update media_pauses set until = now()")

    assert first not in await claim(db)


async def test_a_poller_at_fault_rests_and_leaves_the_job_to_others(db: Any) -> None:
    (media,) = await queue_many(db, 1)
    held = await claim(db, poller="full")
    await fail(db, media, held[media], poller="full", source="poller", code="spool_full")

    assert await claim(db, poller="full") == {}
    assert list(await claim(db, poller="other")) == [media]


@pytest.mark.parametrize("state", ["pending", "processing", "waiting"])
async def test_cancelled_media_are_worked_on_no_more(db: Any, state: str) -> None:
    leader = await queue_media(db, sha256=sha256(b"x"))
    media = leader
    if state == "processing":
        await claim(db)
    if state == "waiting":
        media = await queue_media(db, sha256=sha256(b"x"))
    assert (await status(db, media))["status"] == state

    assert await db.fetchval("select cancel_media($1)", media) is True
    assert await db.fetchval("select cancel_media($1)", media) is False

    assert (await status(db, media))["status"] == "cancelled"
    assert (await media_row(db, media))["failure_code"] == "cancelled"
    assert media not in await claim(db)
    assert (await events(db, media))[-1] == "cancelled"


async def test_who_waited_for_a_cancelled_one_goes_on(db: Any) -> None:
    leader = await queue_media(db, sha256=sha256(b"x"))
    waiting = await queue_media(db, sha256=sha256(b"x"))

    await db.execute("select cancel_media($1)", leader)

    assert list(await claim(db)) == [waiting]


async def test_retried_media_have_all_their_attempts(db: Any) -> None:
    media = await queue_media(db)
    held = await claim(db)
    await fail(db, media, held[media], code="131051")
    assert (await status(db, media))["status"] == "failed"

    assert await db.fetchval("select retry_media($1)", media) is True
    assert await db.fetchval("select retry_media($1)", media) is False

    after = await status(db, media)
    assert (after["status"], after["attempts"], after["error_code"]) == ("pending", 0, None)
    assert list(await claim(db)) == [media]


async def test_retry_of_many_by_reason_time_and_number(db: Any) -> None:
    expired = await queue_many(db, 3)
    lost = await queue_many(db, 1)
    held = await claim(db)
    for media in expired:
        await fail(db, media, held[media], code="100", http_status=400)
    await fail(db, lost[0], held[lost[0]], code="131052")
    await db.execute(
        "update media set failed_at = now() - interval '1 day' where id = $1", expired[0]
    )
    call = "select retry_failed_media(code => $1, since => now() - $2::interval, at_most => $3)"
    hour, week = timedelta(hours=1), timedelta(days=7)

    assert await db.fetchval(call, "nonsense", week, 10) == 0
    assert await db.fetchval(call, "media_expired_or_foreign", hour, 1) == 1
    assert await db.fetchval(call, "media_expired_or_foreign", hour, 10) == 1
    assert await db.fetchval("select retry_failed_media()") == 2


async def refused_at(db: Any) -> list[Any]:
    return await db.fetchval("select refused_at from media_sources where source = $1", SOURCE)


@pytest.mark.parametrize(("http_status", "counted"), [(401, 1), (400, 1), (500, 0), (None, 0)])
async def test_a_refusal_that_is_heard_of_after_the_lease_counts(
    db: Any, http_status: int | None, counted: int
) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await expire_lease(db, media)
    await claim(db, poller="two")
    with refused("MD001"):
        await fail(db, media, token, code="190", http_status=http_status)

    await db.execute("select note_late_failure('whatsapp', '1', $1)", http_status)
    await db.execute("select note_late_failure('storage', '1', 400)")

    assert len(await refused_at(db)) == counted


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_pollers_that_die_while_they_probe_spend_the_refusals(db: Any, how: str) -> None:
    await queue_many(db, 30)
    await refuse_one(db)
    probes = 0
    for _ in range(30):
        await db.execute(
            "update media_pauses set until = now() - interval '1 s'"
            " where reason <> 'whatsapp_refusals_spent'"
        )
        await make_due(db)
        for media, token in (await claim(db)).items():
            probes += 1
            if how == "killed":
                await expire_lease(db, media)
            else:
                await db.execute(
                    "select release_media_jobs('poller-1', array[$1::uuid], array[$2::integer])",
                    media, token,
                )  # fmt: skip

    assert probes == 19
    assert (await pause_row(db))["reason"] == "whatsapp_refusals_spent"


async def test_pollers_that_die_while_a_number_works_cost_it_nothing(db: Any) -> None:
    for media in await queue_many(db, 3):
        await claim(db)
        await expire_lease(db, media)
    await claim(db)

    assert await refused_at(db) == []


async def test_a_refusal_counts_once(db: Any) -> None:
    await queue_many(db, 3)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="190", http_status=401)

    assert len(await refused_at(db)) == 3


@pytest.mark.parametrize("source", ["whatsapp", "storage"])
async def test_a_poller_that_cannot_connect_does_not_stop_the_others(db: Any, source: str) -> None:
    await queue_many(db, 3)
    ((media, token),) = (await claim(db, 1, poller="cut off")).items()

    verdict = await fail(db, media, token, poller="cut off", source=source, code="unreachable")

    assert verdict["verdict"] == "paused"
    assert await claim(db, poller="cut off") == {}
    assert len(await claim(db, poller="good")) == 3
    assert (await queue_row(db, media))["attempts"] == 1
