"""Two transactions at once over one content or number: who uploads, who waits, who may claim."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    finish_upload,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
)
from tests.sql.race_scene import FLYING, bring_to_an_end, set_scene, settled, violations


async def test_a_content_cannot_be_reserved_twice(db: Any) -> None:
    scene = await set_scene(db, lease_over=False)

    with refused("23505", "media_objects_content_key"):
        await db.execute(
            "insert into media_objects (content_hash, is_public, leader_id) values ($1, true, $2)",
            FLYING, scene.second,
        )  # fmt: skip


async def test_public_and_private_uploads_of_one_content_do_not_wait_for_each_other(
    connect: Connect, db: Any
) -> None:
    one = await connect()
    public, private = await queue_media(db), await queue_media(db, media_type="document")
    held = await claim(db)

    async with one.transaction():
        first = await begin_upload(one, public, held[public], content_hash=FLYING)
        second = await begin_upload(db, private, held[private], content_hash=FLYING)
        await finish_upload(db, private, held[private], second["object_id"])
    await finish_upload(db, public, held[public], first["object_id"])

    assert (await media_row(db, public))["bucket_name"] == "images"
    assert (await media_row(db, private))["bucket_name"] == "documents"
    assert await violations(db) == []


async def test_when_a_begin_is_rolled_back_the_other_one_uploads(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    await begin_upload(one, first, held[first], content_hash=FLYING)
    other = asyncio.create_task(begin_upload(two, second, held[second], content_hash=FLYING))
    await blocked(db, two)
    await transaction.rollback()

    assert (await other)["verdict"] == "upload"
    assert (await begin_upload(db, first, held[first], content_hash=FLYING))["verdict"] == "joined"
    assert await violations(db) == []


async def test_two_that_free_the_same_rows_do_not_wait_and_name_one_leader(
    connect: Connect, db: Any
) -> None:
    one = await connect()
    leader = await queue_media(db, sha256=FLYING)
    waiting = [await queue_media(db, sha256=FLYING) for _ in range(3)]

    async with one.transaction():
        await one.execute("select free_waiting_media($1)", leader)
        await db.execute("set lock_timeout = '1s'")
        await db.execute("select cancel_media($1)", leader)  # frees them as well

    rows = [await queue_row(db, media) for media in waiting]
    assert [row["status"] for row in rows] == ["pending", "waiting", "waiting"]
    assert {row["waiting_for"] for row in rows[1:]} == {waiting[0]}


async def test_two_claims_at_once_stay_within_the_limit_of_a_number(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    await db.execute("update media_settings set refusals_per_hour = 5")
    for _ in range(6):
        await queue_media(db)
    await claim(db, 1)  # the number is known, and one of the four that may be in work
    transaction = one.transaction()
    await transaction.start()
    assert len(await claim(one, 2, "one")) == 2
    claiming = asyncio.create_task(claim(two, 5, "two"))
    await settled(db, two, claiming)
    await transaction.commit()

    assert len(await claiming) == 1
    assert await violations(db) == []


async def test_two_that_would_wait_for_each_other_do_not(connect: Connect, db: Any) -> None:
    """Each is given the content of the other, at once: a circle of waits is a circle of locks.

    Who joins holds the reservation it joins, and has to delete its own, which the other holds.
    """
    one, two = await connect(), await connect()
    contents = [sha256(b"one"), sha256(b"two")]
    media = [await queue_media(db), await queue_media(db)]
    tokens = await claim(db)
    for own, content in zip(media, contents, strict=True):
        begun = await begin_upload(db, own, tokens[own], content_hash=content)
        assert begun["verdict"] == "upload"
    for connection in (one, two):
        await connection.execute("set deadlock_timeout = '50ms'")

    async def begin(connection: Any, number: int) -> Any:
        own = media[number]
        return await begin_upload(connection, own, tokens[own], content_hash=contents[1 - number])

    async def begin_at_once(connection: Any, number: int) -> Any:
        async with connection.transaction():
            await connection.execute(  # so far both have come
                "select from media_objects where content_hash = $1 for update", contents[1 - number]
            )
            both.set() if ready.is_set() else ready.set()
            await both.wait()
            return await begin(connection, number)

    ready, both = asyncio.Event(), asyncio.Event()
    calls = [begin_at_once(one, 0), begin_at_once(two, 1)]
    answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    (failed,) = [n for n, it in enumerate(answers) if isinstance(it, BaseException)]
    assert isinstance(answers[failed], asyncpg.DeadlockDetectedError)
    joined: Any = answers[1 - failed]
    assert joined["verdict"] == "joined"
    assert (await begin(db, failed))["verdict"] == "upload"  # a poller makes the call again
    assert await violations(db) == []
    await bring_to_an_end(db)
    assert await violations(db) == []
