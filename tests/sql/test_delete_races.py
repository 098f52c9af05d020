"""Deletions against others at the same attachment or content: no deadlock, no lost file."""

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
    describe,
    expire_lease,
    finish_upload,
    media_row,
    queue_media,
    status,
    store,
)
from tests.sql.deletions import DANGLING, HASH, claim_deletions, delete


async def test_a_deletion_waits_for_a_poller_instead_of_a_deadlock(
    connect: Connect, db: Any
) -> None:
    """The poller holds the queue row and will write the media row; the deletion needs both."""
    one, two = await connect(), await connect()
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    transaction = one.transaction()
    await transaction.start()
    await describe(one, media, token, mime_type="", file_size=None)
    deleting = asyncio.create_task(delete(two, media))
    await blocked(db, two)

    await finish_upload(one, media, token, begun["object_id"])
    await transaction.commit()

    assert await deleting is True
    assert await db.fetchval("select count(*) from media_deletion_queue") == 1


@pytest.mark.parametrize("by", ["delete_media", "message"])
async def test_a_deletion_between_two_writes_of_a_poller_is_no_deadlock(
    connect: Connect, db: Any, by: str
) -> None:
    one, two = await connect(), await connect()
    leader = await queue_media(db, sha256=HASH)
    waiting = await queue_media(db, sha256=HASH)
    token = (await claim(db))[leader]
    begun = await begin_upload(db, leader, token, content_hash=HASH)
    transaction = one.transaction()
    await transaction.start()
    await one.execute("select lock_media_job($1, $2, $3)", leader, POLLER, token)
    if by == "message":
        message = (await media_row(db, leader))["message_id"]
        statement, key = "delete from messages where id = $1", message
    else:
        statement, key = "select delete_media($1)", leader
    deleting = asyncio.create_task(two.execute(statement, key))
    await blocked(db, two)

    await finish_upload(one, leader, token, begun["object_id"])
    await transaction.commit()
    await deleting

    assert await media_row(db, leader) is None
    assert (await status(db, waiting))["status"] == "stored"
    assert await db.fetchval(DANGLING) == 0


async def test_rescue_skips_what_is_being_deleted(connect: Connect, db: Any) -> None:
    one = await connect()
    media, other = await queue_media(db), await queue_media(db)
    await claim(db)
    await db.execute("update media_processing_queue set attempts = max_attempts")
    for each in (media, other):
        await expire_lease(db, each)
    await db.execute("set lock_timeout = '2s'")

    async with one.transaction():
        await one.execute("select from media where id = $1 for update", media)
        assert await claim(db) == {}

    assert (await status(db, other))["status"] == "failed"
    assert (await status(db, media))["status"] == "processing"
    await claim(db)
    assert (await status(db, media))["status"] == "failed"


async def test_deleted_first_then_queued(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    old = await store(db, HASH)
    transaction = one.transaction()
    await transaction.start()
    await delete(one, old)
    media = await queue_media(two, sha256=HASH)  # does not wait
    await transaction.commit()

    assert (await status(db, media))["status"] == "pending"
    token = (await claim(db))[media]
    assert (await describe(db, media, token, sha256=HASH))["verdict"] == "deduplicated"
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0  # rescued
    assert await db.fetchval(DANGLING) == 0


async def test_queued_first_then_deleted(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    old = await store(db, HASH)
    transaction = one.transaction()
    await transaction.start()
    media = await queue_media(one, sha256=HASH)
    deleting = asyncio.create_task(delete(two, old))
    await blocked(db, two)
    await transaction.commit()
    await deleting

    assert (await status(db, media))["status"] == "stored"
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert await db.fetchval("select state from media_objects") == "stored"
    assert await db.fetchval(DANGLING) == 0


async def test_queued_first_and_rolled_back_then_deleted(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    old = await store(db, HASH)
    transaction = one.transaction()
    await transaction.start()
    await queue_media(one, sha256=HASH)
    deleting = asyncio.create_task(delete(two, old))
    await blocked(db, two)
    await transaction.rollback()
    await deleting

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1


@pytest.mark.parametrize("commits", [True, False])
async def test_deleted_first_then_described(connect: Connect, db: Any, commits: bool) -> None:
    one, two = await connect(), await connect()
    old = await store(db, HASH)
    media = await queue_media(db)
    token = (await claim(db))[media]
    transaction = one.transaction()
    await transaction.start()
    await delete(one, old)
    describing = asyncio.create_task(describe(two, media, token, sha256=HASH))
    await blocked(db, two)
    await (transaction.commit() if commits else transaction.rollback())

    assert (await describing)["verdict"] == "deduplicated"
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert await db.fetchval(DANGLING) == 0


async def test_described_first_then_deleted(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    old = await store(db, HASH)
    media = await queue_media(db)
    token = (await claim(db))[media]
    transaction = one.transaction()
    await transaction.start()
    await describe(one, media, token, sha256=HASH)
    deleting = asyncio.create_task(delete(two, old))
    await blocked(db, two)
    await transaction.commit()
    await deleting

    assert (await status(db, media))["status"] == "stored"
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert await db.fetchval(DANGLING) == 0


async def test_a_rescue_does_not_take_what_is_being_claimed(connect: Connect, db: Any) -> None:
    one = await connect()
    await delete(db, await store(db, HASH))
    media = await queue_media(db)
    token = (await claim(db))[media]

    async with one.transaction():
        assert len(await claim_deletions(one)) == 1
        assert (await describe(db, media, token, sha256=HASH))["verdict"] == "download"

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert await db.fetchval("select count(*) from media_objects") == 2


async def test_two_that_arrive_again_rescue_once(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    await delete(db, await store(db, HASH))
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    assert (await describe(one, first, held[first], sha256=HASH))["verdict"] == "deduplicated"
    other = asyncio.create_task(describe(two, second, held[second], sha256=HASH))
    await blocked(db, two)
    await transaction.commit()

    assert (await other)["verdict"] == "deduplicated"
    assert await db.fetchval("select count(*) from media_objects") == 1
    assert await db.fetchval(DANGLING) == 0


async def test_a_deletion_that_is_given_back_while_its_content_is_reserved_anew(
    connect: Connect, db: Any
) -> None:
    """Whoever comes then joins the reservation, which it could not see at first."""
    one, two = await connect(), await connect()
    gone = await store(db, HASH)
    await delete(db, gone)
    ((removal, token),) = (await claim_deletions(db)).items()
    media, other = await queue_media(db), await queue_media(db)
    tokens = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    begun = await begin_upload(one, media, tokens[media], content_hash=HASH)
    await db.execute(
        "select release_media_deletions($1, array[$2::uuid], array[$3::integer], array[false])",
        POLLER, removal, token,
    )  # fmt: skip
    joining = asyncio.create_task(begin_upload(two, other, tokens[other], content_hash=HASH))
    await blocked(db, two)

    await transaction.commit()

    assert begun["verdict"] == "upload"
    assert (await joining)["verdict"] == "joined"
