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
    claim,
    describe,
    events,
    everything,
    fail,
    finish_upload,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)
from tests.sql.deletions import DANGLING, HASH, claim_deletions, delete


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
        "select discard_media_upload($1, $2)", begun["bucket_name"], begun["storage_path"]
    )

    rows = await db.fetch("select bucket_name, storage_path from media_deletion_queue")
    assert [tuple(row) for row in rows] == [("images", begun["storage_path"])]


# The same content arrives again while its last reference goes, in both orders.


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
