"""Two transactions at once: what comes of the pairs that meet, in both orders."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    begin_upload,
    blocked,
    claim,
    finish_upload,
    make_due,
    queue_media,
    queue_row,
    refused,
    status,
)
from tests.sql.race_scene import CALLS, FLYING, bring_to_an_end, set_scene, violations


async def test_a_finish_before_the_rescue_counts(connect: Connect, db: Any) -> None:
    one = await connect()
    scene = await set_scene(db, lease_over=True)

    async with one.transaction():
        await CALLS["finish"](one, scene)
        assert scene.leader not in await claim(db, poller="two")  # neither waits nor takes it

    assert (await status(db, scene.leader))["status"] == "stored"
    assert scene.leader not in await claim(db, poller="two")
    assert await violations(db) == []


async def test_a_finish_after_the_rescue_does_not_count(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    transaction = two.transaction()
    await transaction.start()
    token = (await claim(two, poller="two"))[scene.leader]
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.commit()

    with refused("MD001"):
        await finishing

    begun = await begin_upload(db, scene.leader, token, poller="two", content_hash=FLYING)
    assert (begun["verdict"], begun["object_id"]) == ("upload", scene.object_id)
    assert await finish_upload(db, scene.leader, token, scene.object_id, poller="two") == 1
    assert await violations(db) == []


async def test_a_finish_counts_when_the_rescue_is_rolled_back(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    transaction = two.transaction()
    await transaction.start()
    await claim(two, poller="two")
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.rollback()

    assert await finishing == 1
    assert await violations(db) == []


async def test_a_renewal_does_not_wait_for_a_rescue_and_the_next_one_tells_of_it(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    renew = "select renew_media_leases($1, array[$2::uuid], array[$3::integer])"
    job = POLLER, scene.leader, scene.tokens[scene.leader]
    async with two.transaction():
        assert scene.leader in await claim(two, poller="two")
        assert [row[0] for row in await one.fetch(renew, *job)] == [scene.leader]

    assert await one.fetch(renew, *job) == []
    assert (await queue_row(db, scene.leader))["claimed_by"] == "two"


@pytest.mark.parametrize("join", ["describe as in flight", "begin as in flight"])
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_joined_before_the_leader_ends_shares_its_end(
    connect: Connect, db: Any, join: str, end: str
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = two.transaction()
    await transaction.start()
    assert (await CALLS[join](two, scene))["verdict"] == "joined"
    ending = asyncio.create_task(CALLS[end](one, scene))
    await blocked(db, one)
    await transaction.commit()
    await ending

    states = {(await status(db, media))["status"] for media in (scene.waiting, scene.second)}
    assert states == ({"stored"} if end == "finish" else {"pending", "waiting"})
    assert await violations(db) == []


@pytest.mark.parametrize(
    ("join", "alone"), [("describe as in flight", "download"), ("begin as in flight", "upload")]
)
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_comes_after_the_leader_ended_does_not_join_it(
    connect: Connect, db: Any, join: str, alone: str, end: str
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = one.transaction()
    await transaction.start()
    await CALLS[end](one, scene)
    joining = asyncio.create_task(CALLS[join](two, scene))
    await blocked(db, two)
    await transaction.commit()

    assert (await joining)["verdict"] == ("deduplicated" if end == "finish" else alone)
    assert await violations(db) == []


@pytest.mark.parametrize("queued_first", [True, False])
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_is_queued_while_the_leader_ends_is_freed_by_its_recheck(
    connect: Connect, db: Any, end: str, queued_first: bool
) -> None:
    """A caller's transaction waits for nobody, so it may join one that is just leaving."""
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    queueing, ending = two.transaction(), one.transaction()
    await queueing.start()
    await ending.start()
    if queued_first:
        media = await queue_media(two, sha256=FLYING)
        await CALLS[end](one, scene)
    else:
        await CALLS[end](one, scene)
        media = await queue_media(two, sha256=FLYING)
    await ending.commit()
    await queueing.commit()
    assert (await queue_row(db, media))["waiting_for"] == scene.leader

    await make_due(db)
    await db.execute("select rescue_media_jobs()")

    row = await queue_row(db, media)
    assert (row is None) if end == "finish" else row["waiting_for"] != scene.leader
    await bring_to_an_end(db)
    assert (await status(db, media))["status"] == "stored"
    assert await violations(db) == []


async def test_a_cancellation_after_the_finish_finds_nothing_to_stop(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = one.transaction()
    await transaction.start()
    await CALLS["finish"](one, scene)
    cancelling = asyncio.create_task(two.fetchval("select cancel_media($1)", scene.leader))
    await blocked(db, two)
    await transaction.commit()

    assert await cancelling is False
    assert (await status(db, scene.leader))["status"] == "stored"
    assert await violations(db) == []


async def test_a_finish_after_the_cancellation_does_not_count(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = two.transaction()
    await transaction.start()
    assert await two.fetchval("select cancel_media($1)", scene.leader) is True
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.commit()

    with refused("MD001"):
        await finishing

    assert (await status(db, scene.leader))["status"] == "cancelled"
    abandoned = "select count(*) from media_deletion_queue where reason = 'upload abandoned'"
    assert await db.fetchval(abandoned) == 1
    assert await violations(db) == []
