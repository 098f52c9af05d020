"""Whoever waits for a content goes on as soon as waiting makes no sense, and its leader hurries."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    describe,
    end_pauses,
    events,
    fail,
    finish_upload,
    make_due,
    queue_media,
    queue_row,
    sha256,
    status,
)
from tests.sql.queue_invariants import VIOLATIONS

HASH = sha256(b"a photo")
PAUSE = "select pause_media_source('whatsapp:1')"
RECHECK = "select rescue_media_jobs()"


async def send(db: Any, number: str = "1", **arguments: Any) -> UUID:
    return await queue_media(db, phone_number_id=number, sha256=HASH, **arguments)


async def lead(db: Any, leader: UUID, token: int) -> Any:
    """The leader has begun its upload."""
    await describe(db, leader, token, sha256=HASH)
    return await begin_upload(db, leader, token, content_hash=HASH)


async def waits_for(db: Any, media: UUID) -> Any:
    return (await queue_row(db, media))["waiting_for"]


async def test_another_number_leads_while_the_leaders_is_paused(db: Any) -> None:
    leader = await send(db)
    same, other, third = await send(db), await send(db, "2"), await send(db, "3")
    token = (await claim(db))[leader]
    await lead(db, leader, token)  # its reservation is taken over, too
    await db.execute(PAUSE)
    await fail(db, leader, token, http_status=500)
    assert await claim(db) == {}

    await make_due(db)
    claimed = await claim(db)

    assert list(claimed) == [other]
    assert [await waits_for(db, one) for one in (same, third)] == [other, other]
    begun = await lead(db, other, claimed[other])
    assert begun["verdict"] == "upload"
    assert await finish_upload(db, other, claimed[other], begun["object_id"]) == 2
    await end_pauses(db)
    token = (await claim(db))[leader]
    assert (await describe(db, leader, token, sha256=HASH))["verdict"] == "deduplicated"
    assert await db.fetch(VIOLATIONS) == []


async def test_who_is_of_a_paused_number_itself_goes_on_waiting(db: Any) -> None:
    leader, same = await send(db), await send(db)
    await db.execute(PAUSE)
    await make_due(db)

    assert await claim(db) == {}

    assert await waits_for(db, same) == leader


async def test_a_leader_at_work_is_waited_for_though_its_number_is_paused(db: Any) -> None:
    leader = await send(db)
    await claim(db)
    other = await send(db, "2")
    await db.execute(PAUSE)
    await make_due(db)

    assert await claim(db) == {}

    assert await waits_for(db, other) == leader


async def test_when_the_leader_dies_a_number_that_is_not_paused_leads(db: Any) -> None:
    leader = await send(db, "2")
    paused, other = await send(db, priority=1), await send(db, "3")
    await db.execute(PAUSE)

    await db.execute("select cancel_media($1)", leader)

    assert await waits_for(db, paused) == other
    row = await queue_row(db, other)
    assert (row["status"], row["priority"]) == ("pending", 1)


async def test_stored_content_is_linked_at_the_recheck(db: Any) -> None:
    """As happens to who is queued while the content is recorded: nobody was told of it."""
    leader = await send(db)
    token = (await claim(db))[leader]
    begun = await lead(db, leader, token)
    await finish_upload(db, leader, token, begun["object_id"])
    late = await queue_media(db, phone_number_id="2")
    await db.execute(
        "update media_processing_queue"
        " set status = 'waiting', waiting_for = $2, content_hash = $3 where id = $1",
        late, leader, HASH,
    )  # fmt: skip
    await make_due(db)

    await db.execute(RECHECK)

    assert (await status(db, late))["status"] == "stored"
    assert (await events(db, late))[-1] == "deduplicated"


async def wait_elsewhere(db: Any, media_type: str) -> tuple[UUID, UUID, UUID]:
    """Two that fetch the same content unbeknownst, and one that waits for the second."""
    first, second = await queue_media(db), await queue_media(db, media_type=media_type)
    third = await queue_media(db, media_type=media_type, sha256=HASH)
    await db.execute(
        "update media_processing_queue set status = 'waiting', waiting_for = $2 where id = $1",
        third, second,
    )  # fmt: skip
    return first, second, third


@pytest.mark.parametrize(("media_type", "linked"), [("image", True), ("document", False)])
async def test_a_finish_links_who_waits_for_another_of_the_same_visibility(
    db: Any, media_type: str, linked: bool
) -> None:
    first, second, third = await wait_elsewhere(db, media_type)
    token = (await claim(db))[first]
    begun = await begin_upload(db, first, token, content_hash=HASH)

    assert await finish_upload(db, first, token, begun["object_id"]) == int(linked)

    assert (await status(db, third))["status"] == ("stored" if linked else "waiting")
    assert linked or await waits_for(db, third) == second


# Both transactions open.


async def test_a_finish_waits_for_the_recheck_and_leaves_whom_it_freed(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    leader = await send(db)
    other = await send(db, "2")
    token = (await claim(db))[leader]
    begun = await lead(db, leader, token)
    await make_due(db)
    recheck = two.transaction()
    await recheck.start()
    await two.execute("select free_waiting_media($1)", leader)
    finishing = asyncio.create_task(finish_upload(one, leader, token, begun["object_id"]))
    await blocked(db, one)
    await recheck.commit()

    assert await finishing == 0
    token = (await claim(db))[other]
    assert (await describe(db, other, token, sha256=HASH))["verdict"] == "deduplicated"
    assert await db.fetch(VIOLATIONS) == []


async def test_a_recheck_leaves_whom_a_finish_is_linking(connect: Connect, db: Any) -> None:
    one = await connect()
    leader = await send(db)
    other = await send(db, "2")
    token = (await claim(db))[leader]
    begun = await lead(db, leader, token)
    await make_due(db)

    async with one.transaction():
        assert await finish_upload(one, leader, token, begun["object_id"]) == 1
        await db.execute("set lock_timeout = '1s'")
        await db.execute(RECHECK)  # neither waits nor frees it

    assert (await status(db, other))["status"] == "stored"
    assert await db.fetch(VIOLATIONS) == []


@pytest.mark.parametrize("freed_first", [True, False])
async def test_the_leader_is_claimed_while_another_number_takes_over(
    connect: Connect, db: Any, freed_first: bool
) -> None:
    """Its pause is over just when its place is taken: one of the two fetches the content."""
    one, two = await connect(), await connect()
    leader = await send(db)
    token = (await claim(db))[leader]
    await lead(db, leader, token)
    await db.execute(PAUSE)
    await fail(db, leader, token, http_status=500)
    other = await send(db, "2")
    await make_due(db)
    assert await claim(db) != {}
    token = (await queue_row(db, other))["fencing_token"]
    await end_pauses(db) if not freed_first else await make_due(db)

    taking, claiming = one.transaction(), two.transaction()
    await taking.start()
    first = await describe(one, other, token, sha256=HASH)
    await db.execute("update media_pauses set until = now() - interval '1 s'")
    await claiming.start()
    leaders = await claim(two, poller="two")
    settling = asyncio.create_task(
        describe(two, leader, leaders[leader], poller="two", sha256=HASH)
    )
    await blocked(db, two)
    await taking.commit()
    second = await settling
    await claiming.commit()

    verdicts = [first["verdict"], second["verdict"]]
    assert verdicts == (["download", "joined"] if freed_first else ["joined", "download"])
    assert await db.fetch(VIOLATIONS) == []


# Priorities.


async def test_a_pending_leader_is_as_urgent_as_who_joins_it(db: Any) -> None:
    others = [await queue_media(db, phone_number_id="1", priority=3) for _ in range(2)]
    leader = await send(db, priority=9)
    await send(db, priority=10)
    assert (await queue_row(db, leader))["priority"] == 9

    await send(db, "2", priority=2)

    assert (await queue_row(db, leader))["priority"] == 2
    assert list(await claim(db)) == [leader, *others]


async def test_a_leader_in_backoff_is_as_urgent_as_who_joins_it_at_work(db: Any) -> None:
    leader, media = await queue_media(db, priority=9), await queue_media(db, priority=4)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    await fail(db, leader, held[leader], http_status=500)

    assert (await describe(db, media, held[media], sha256=HASH))["verdict"] == "joined"

    assert (await queue_row(db, leader))["priority"] == 4


async def test_a_leader_that_was_locked_is_raised_at_the_recheck(connect: Connect, db: Any) -> None:
    one = await connect()
    leader = await send(db, priority=9)
    async with one.transaction():
        await one.execute("select from media_processing_queue where id = $1 for update", leader)
        await db.execute("set lock_timeout = '1s'")
        await send(db, priority=1)  # does not wait
    assert (await queue_row(db, leader))["priority"] == 9

    await make_due(db)
    await db.execute(RECHECK)

    assert (await queue_row(db, leader))["priority"] == 1
