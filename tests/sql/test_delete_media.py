"""delete_media: the attachment goes at once, its file with the last reference to the content."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    begin_upload,
    blocked,
    claim,
    describe,
    events,
    everything,
    expire_lease,
    fail,
    finish_upload,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

HASH = sha256(b"a photo")

DANGLING = """
    select count(*)
    from media m
    left join media_objects o on o.id = m.object_id
    where m.processed and (o.state is distinct from 'stored' or o.storage_path <> m.storage_path
        or exists (select from media_deletion_queue d
            where d.bucket_name = m.bucket_name and d.storage_path = m.storage_path))
"""


async def delete(db: Any, media: UUID) -> bool:
    return await db.fetchval("select delete_media($1)", media)


async def claim_deletions(db: Any, limit: int = 100, poller: str = POLLER) -> dict[UUID, int]:
    rows = await db.fetch("select * from claim_media_deletions($1, $2)", poller, limit)
    return {row["id"]: row["fencing_token"] for row in rows}


async def test_an_unknown_attachment_is_not_deleted(db: Any) -> None:
    before = await everything(db)

    assert await delete(db, UUID(int=3)) is False

    assert await everything(db) == before


async def test_the_file_of_a_deleted_attachment_is_queued_for_removal(db: Any) -> None:
    media = await store(db, HASH)
    stored = await media_row(db, media)

    assert await delete(db, media) is True

    assert await media_row(db, media) is None
    row = await db.fetchrow("select * from media_deletion_queue")
    assert row["object_id"] == stored["object_id"]
    assert (row["bucket_name"], row["storage_path"]) == ("images", stored["storage_path"])
    assert (row["status"], row["reason"]) == ("pending", "unused")
    assert await db.fetchval("select state from media_objects") == "deleting"
    assert await events(db, media) == ["queued", "claimed", "stored", "deleted"]
    sums = await db.fetchrow(
        "select sum(deleted_files), sum(deleted_bytes) from media_analytics_deltas"
    )
    assert tuple(sums) == (1, 1000)
    assert await delete(db, media) is False


async def test_shared_content_stays_until_its_last_reference_goes(db: Any) -> None:
    shared = [await store(db, HASH), *[await queue_media(db, sha256=HASH) for _ in range(2)]]

    for media in shared[:-1]:
        await delete(db, media)
        assert await db.fetchval("select count(*) from media_deletion_queue") == 0
        assert (await status(db, shared[-1]))["status"] == "stored"
    await delete(db, shared[-1])

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1


async def test_all_references_in_one_statement(db: Any) -> None:
    await store(db, HASH)
    await queue_media(db, sha256=HASH)
    await store(db, sha256(b"another photo"))

    await db.execute("delete from media")

    assert await db.fetchval("select count(*) from media_deletion_queue") == 2


async def test_deleting_a_message_deletes_its_attachments(db: Any) -> None:
    media = await store(db, HASH)
    message = (await media_row(db, media))["message_id"]
    second = await queue_media(db, message_id=message)

    await db.execute("delete from messages where id = $1", message)

    assert await db.fetchval("select count(*) from media") == 0
    assert await db.fetchval("select count(*) from media_processing_queue") == 0
    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert (await events(db, media))[-1] == (await events(db, second))[-1] == "deleted"


@pytest.mark.parametrize("state", ["pending", "processing", "uploading", "failed"])
async def test_an_attachment_that_is_not_stored_can_be_deleted(db: Any, state: str) -> None:
    media = await queue_media(db)
    expected = 0
    if state != "pending":
        token = (await claim(db))[media]
        if state == "uploading":
            await begin_upload(db, media, token, content_hash=HASH)
            expected = 1  # it may be in storage already
        elif state == "failed":
            await fail(db, media, token, code="100")

    assert await delete(db, media)

    assert await db.fetchval("select count(*) from media_processing_queue") == 0
    assert await db.fetchval("select count(*) from media_objects") == 0
    assert await db.fetchval("select count(*) from media_deletion_queue") == expected
    assert await db.fetchval("select sum(deleted_bytes) from media_analytics_deltas") == 0


async def test_deleting_who_waits_leaves_the_leader_alone(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    waiting = await queue_media(db, sha256=HASH)
    token = (await claim(db))[leader]
    begun = await begin_upload(db, leader, token, content_hash=HASH)

    await delete(db, waiting)

    assert await finish_upload(db, leader, token, begun["object_id"]) == 0
    assert (await status(db, leader))["status"] == "stored"


async def test_deleting_leader_and_waiting_together(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    for _ in range(2):
        await queue_media(db, sha256=HASH)
    survivor = await queue_media(db, sha256=HASH)
    await claim(db)

    await db.execute("delete from media where id <> $1", survivor)

    assert (await queue_row(db, survivor))["status"] == "pending"
    assert await events(db, leader) == ["queued", "claimed", "deleted"]


async def test_a_poller_at_work_on_a_deleted_attachment_leaves_nothing_behind(db: Any) -> None:
    """The path it uploaded to is queued with the deletion, and once more is not twice."""
    media = await queue_media(db)
    begun = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)
    await delete(db, media)

    await db.execute(
        "select discard_media_upload($1, $2, true)", begun["bucket_name"], begun["storage_path"]
    )

    rows = await db.fetch("select bucket_name, storage_path from media_deletion_queue")
    assert [tuple(row) for row in rows] == [("images", begun["storage_path"])]


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


# The same content arrives again while its last reference goes, in both orders.


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


async def test_content_whose_removal_has_begun_is_stored_anew(db: Any) -> None:
    old = await media_row(db, await store(db, HASH))
    await delete(db, old["id"])
    held = await claim_deletions(db)
    media = await queue_media(db)
    token = (await claim(db))[media]

    assert (await describe(db, media, token, sha256=HASH))["verdict"] == "download"
    begun = await begin_upload(db, media, token, content_hash=HASH)
    assert begun["verdict"] == "upload"
    assert begun["storage_path"] != old["storage_path"]
    await finish_upload(db, media, token, begun["object_id"])
    await db.execute(
        "select finish_media_deletions($1, $2, $3)", POLLER, list(held), list(held.values())
    )

    assert await db.fetchval("select count(*) from media_objects") == 1
    assert await db.fetchval(DANGLING) == 0
    assert (await status(db, media))["status"] == "stored"


async def test_content_whose_removal_failed_once_is_not_trusted(db: Any) -> None:
    """It may have been removed all the same."""
    await delete(db, await store(db, HASH))
    held = await claim_deletions(db)
    await db.execute(
        "select fail_media_deletions($1, $2, $3, null, 500, null, 'lost')",
        POLLER, list(held), list(held.values()),
    )  # fmt: skip
    media = await queue_media(db)
    token = (await claim(db))[media]

    assert (await describe(db, media, token, sha256=HASH))["verdict"] == "download"


async def test_content_is_not_rescued_for_who_may_not_have_it(db: Any) -> None:
    await delete(db, await store(db, HASH, media_type="document"))  # a photo
    media = await queue_media(db, media_type="audio")
    token = (await claim(db))[media]

    described = await describe(db, media, token, mime_type="audio/mpeg", sha256=HASH)

    assert described["verdict"] == "download"
    begun = await begin_upload(db, media, token, content_hash=HASH)
    assert (begun["verdict"], begun["reason"]) == ("rejected", "type_mismatch")
    assert await db.fetchval("select count(*) from media_deletion_queue") == 1


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


async def test_a_deletion_wakes_the_pollers(connect: Connect, db: Any) -> None:
    listener = await connect()
    heard = asyncio.Event()

    def on_event(*_: object) -> None:
        heard.set()

    await listener.add_listener("pgmedia_wake", on_event)
    media = await store(db, HASH)
    await heard.wait()  # that it was queued
    heard.clear()

    await delete(db, media)

    await asyncio.wait_for(heard.wait(), 10)
