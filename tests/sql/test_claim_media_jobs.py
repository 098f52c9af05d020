"""claim_media_jobs: what is handed out, to whom, and in which order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tests.conftest import Connect
from tests.helpers import (
    blocked,
    claim,
    events,
    expire_lease,
    make_due,
    queue_media,
    queue_row,
    sha256,
)

HASH = sha256(b"a photo")


async def test_what_a_claim_hands_out(db: Any) -> None:
    media = await queue_media(db, "42", phone_number_id="555")
    plain = await queue_media(db, "43")

    rows = await db.fetch("select * from claim_media_jobs('one', 10)")

    assert [tuple(row)[:6] for row in rows] == [
        (media, 1, 1, "42", "555", None),
        (plain, 1, 1, "43", None, None),
    ]
    assert all(0 <= row["waited_seconds"] < 60 for row in rows)
    row = await queue_row(db, media)
    assert (row["status"], row["claimed_by"], row["attempts"]) == ("processing", "one", 1)
    lease = await db.fetchval(
        "select lease_until - clock_timestamp() from media_processing_queue where id = $1", media
    )
    assert timedelta(seconds=50) < lease <= timedelta(seconds=60)
    assert await events(db, media) == ["queued", "claimed"]


async def test_two_pollers_never_share_a_job(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    queued = [await queue_media(db) for _ in range(4)]

    async with one.transaction():
        first = list(await claim(one, 2, "one"))
        second = asyncio.create_task(claim(two, 10, "two"))
        await blocked(db, two)  # claims of one source take turns: its limit is counted

    assert first == queued[:2]
    assert list(await second) == queued[2:]
    assert await claim(db) == {}


async def test_claims_of_two_sources_do_not_share_a_turn(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    for number in ("1", "2"):
        await queue_media(db, phone_number_id=number)
    await claim(db)  # both numbers are known
    here = await queue_media(db, phone_number_id="1")

    async with one.transaction():
        assert list(await claim(one, 10, "one")) == [here]
        there = await queue_media(db, phone_number_id="2")  # after the first claim has looked
        assert list(await claim(two, 10, "two")) == [there]


async def test_a_claim_takes_no_more_than_the_limit(db: Any) -> None:
    for _ in range(3):
        await queue_media(db)

    assert len(await claim(db, 0)) == 0
    assert len(await claim(db, 2)) == 2
    assert len(await claim(db, 2)) == 1


async def test_jobs_are_claimed_by_priority_and_then_by_due_time(db: Any) -> None:
    late, early, urgent = [await queue_media(db, priority=priority) for priority in (5, 5, 1)]
    await db.execute(
        "update media_processing_queue set due_at = now() - interval '1 hour' where id = $1", early
    )

    assert list(await claim(db)) == [urgent, early, late]


async def test_a_job_is_not_claimed_before_it_is_due(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("update media_processing_queue set due_at = now() + interval '1 minute'")

    assert await claim(db) == {}

    await make_due(db)
    assert list(await claim(db)) == [media]


async def test_every_claim_spends_an_attempt_and_hands_out_a_higher_token(db: Any) -> None:
    media = await queue_media(db)
    for number in range(1, 4):
        assert await claim(db) == {media: number}
        assert (await queue_row(db, media))["attempts"] == number
        await expire_lease(db, media)


async def test_a_paused_source_is_left_alone_until_it_is_resumed(db: Any) -> None:
    paused = await queue_media(db, phone_number_id="1")
    other = await queue_media(db, phone_number_id="2")
    plain = await queue_media(db)
    await db.execute("select pause_media_source('whatsapp:1')")

    assert list(await claim(db)) == [other, plain]
    assert await claim(db) == {}

    assert await db.fetchval("select resume_media_source('whatsapp:1')") is True
    assert list(await claim(db)) == [paused]
    assert await db.fetchval("select resume_media_source('whatsapp:1')") is True  # on probation
    await db.execute("delete from media_pauses")
    assert await db.fetchval("select resume_media_source('whatsapp:1')") is False


async def test_a_paused_storage_stops_every_source(db: Any) -> None:
    await queue_media(db, phone_number_id="1")
    await queue_media(db)
    await db.execute("select pause_media_source('storage')")

    assert await claim(db) == {}


async def test_a_pause_ends_by_itself(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("select pause_media_source('storage')")
    await db.execute("update media_pauses set until = now() - interval '1 s'")

    assert list(await claim(db)) == [media]


async def test_waiting_rows_whose_leader_vanished_are_freed(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    waiting = [await queue_media(db, sha256=HASH) for _ in range(3)]
    await db.execute("delete from media_processing_queue where id = $1", leader)
    assert await claim(db) == {}  # not before it is time to look again

    await make_due(db)
    claimed = await claim(db)

    assert list(claimed) == waiting[:1]
    assert (await events(db, waiting[0]))[-2:] == ["freed", "claimed"]
    for media in waiting[1:]:
        assert (await queue_row(db, media))["waiting_for"] == waiting[0]


async def test_waiting_rows_whose_leader_is_at_work_go_on_waiting(db: Any) -> None:
    await queue_media(db, sha256=HASH)
    media = await queue_media(db, sha256=HASH)
    await claim(db)
    await make_due(db)

    assert await claim(db) == {}

    row = await queue_row(db, media)
    assert row["status"] == "waiting"
    assert await db.fetchval("select $1::timestamptz > now() + interval '5 s'", row["due_at"])


async def test_freeing_never_waits_for_a_row_another_poller_looks_at(
    connect: Connect, db: Any
) -> None:
    """Two claims that each freed some and waited for the other's rows would be a deadlock."""
    one = await connect()
    leader = await queue_media(db, sha256=HASH)
    waiting = [await queue_media(db, sha256=HASH) for _ in range(3)]
    await db.execute("delete from media_processing_queue where id = $1", leader)
    await make_due(db)
    await db.execute("set lock_timeout = '2s'")

    async with one.transaction():
        await one.fetch(
            "select from media_processing_queue where id = $1 for update", waiting[2]
        )  # as a claim that looks at it just now
        assert list(await claim(db)) == waiting[:1]

    assert (await queue_row(db, waiting[1]))["waiting_for"] == waiting[0]
    await make_due(db)
    assert list(await claim(db)) == [waiting[2]]  # it waited for a leader that is gone


async def test_a_row_that_somebody_else_has_locked_is_skipped(db: Any, connect: Connect) -> None:
    held, free = await queue_media(db), await queue_media(db)
    other = await connect()
    async with other.transaction():
        await other.execute("select from media_processing_queue where id = $1 for update", held)

        assert list(await claim(db)) == [free]
