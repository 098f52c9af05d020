"""finish_media_upload: the attachment and all who joined it, in one transaction."""

from __future__ import annotations

import json
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

HASH, OTHER = sha256(b"a photo"), sha256(b"another photo")


async def test_a_stored_file_and_its_object(db: Any) -> None:
    await db.execute("select set_media_project_url('https://abc.supabase.co/')")
    media = await queue_media(db, file_name="x.jpg")
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH, file_size=1234)

    assert await finish_upload(db, media, token, begun["object_id"]) == 0

    row = await media_row(db, media)
    path = begun["storage_path"]
    assert row["processed"]
    assert row["processed_at"] is not None
    assert (row["content_hash"], row["file_size"]) == (HASH, 1234)
    assert (row["bucket_name"], row["storage_path"]) == ("images", path)
    assert row["public_url"] == f"https://abc.supabase.co/storage/v1/object/public/images/{path}"
    stored = await db.fetchrow("select * from media_objects")
    assert (stored["id"], stored["state"], stored["leader_id"]) == (
        row["object_id"],
        "stored",
        None,
    )
    assert (stored["stored_hash"], stored["stored_size"]) == (HASH, 1234)
    assert await queue_row(db, media) is None


async def test_a_private_file_has_no_public_url(db: Any) -> None:
    await db.execute("select set_media_project_url('https://abc.supabase.co')")
    media = await queue_media(db, media_type="document")
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH, mime_type="application/pdf")
    await finish_upload(db, media, token, begun["object_id"])

    await db.execute("select set_media_project_url('https://xyz.supabase.co')")

    assert (await media_row(db, media))["public_url"] is None


async def test_public_urls_follow_the_project(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    await finish_upload(db, media, token, begun["object_id"])
    assert (await media_row(db, media))["public_url"] is None

    await db.execute("select set_media_project_url('https://xyz.supabase.co')")

    assert (await media_row(db, media))["public_url"].startswith("https://xyz.supabase.co/storage/")


async def test_everyone_who_joined_is_processed(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    hinted = await queue_media(db, sha256=HASH)  # joined when it was queued
    described, begun_later = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    await describe(db, described, held[described], sha256=HASH)
    begun = await begin_upload(db, leader, held[leader], content_hash=HASH, file_size=7)
    await begin_upload(db, begun_later, held[begun_later], content_hash=HASH)

    assert await finish_upload(db, leader, held[leader], begun["object_id"]) == 3

    rows = await db.fetch("select * from media")
    assert {row["object_id"] for row in rows} == {begun["object_id"]}
    assert all(row["processed"] and row["file_size"] == 7 for row in rows)
    assert await db.fetchval("select count(*) from media_processing_queue") == 0
    assert await events(db, leader) == ["queued", "claimed", "stored"]
    assert await events(db, hinted) == ["queued", "joined", "deduplicated"]
    assert await events(db, described) == ["queued", "claimed", "joined", "deduplicated"]
    assert await events(db, begun_later) == ["queued", "claimed", "joined", "deduplicated"]
    sums = await db.fetchrow(
        "select sum(total_files), sum(total_size_bytes), sum(unique_files),"
        " sum(deduplicated_files), sum(saved_bytes), sum(failed_files) from media_analytics_deltas"
    )
    assert tuple(sums) == (4, 28, 1, 3, 21, 0)


async def test_nobody_sees_a_part_of_it(connect: Connect, db: Any) -> None:
    one = await connect()
    leader = await queue_media(db, sha256=HASH)
    await queue_media(db, sha256=HASH)
    token = (await claim(db))[leader]
    begun = await begin_upload(db, leader, token, content_hash=HASH)
    before = await everything(db)
    transaction = one.transaction()
    await transaction.start()
    await finish_upload(one, leader, token, begun["object_id"])

    assert await everything(db) == before
    await transaction.rollback()
    assert await everything(db) == before


async def test_timings_are_kept_in_the_trail(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    await db.execute(
        "select finish_media_upload($1, $2, $3, $4, $5)",
        media, POLLER, token, begun["object_id"], json.dumps({"download": 12}),
    )  # fmt: skip

    row = (await db.fetch("select * from get_media_audit_trail($1)", media))[-1]

    assert json.loads(row["detail"]) == {"download": 12, "object_id": str(begun["object_id"])}
    assert (row["event"], row["poller"], row["attempt"]) == ("stored", POLLER, 1)


async def test_the_processing_time_is_counted_from_the_queueing(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("update media_processing_queue set queued_at = now() - interval '90 s'")
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    await finish_upload(db, media, token, begun["object_id"])

    taken = await db.fetchval("select sum(processing_ms) from media_analytics_deltas")

    assert 90_000 <= taken < 120_000


async def test_without_a_reservation_nothing_is_recorded(db: Any) -> None:
    media, other = await queue_media(db), await queue_media(db)
    held = await claim(db)
    begun = await begin_upload(db, other, held[other], content_hash=HASH)
    before = await everything(db)

    for object_id in (UUID(int=9), begun["object_id"], None):
        with refused("MD002", str(media)):
            await db.fetchval(
                "select finish_media_upload($1, $2, $3, $4)", media, POLLER, held[media], object_id
            )

    assert await everything(db) == before


async def test_a_reservation_that_was_never_begun_cannot_be_finished(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    await describe(db, media, token, sha256=HASH)
    object_id = await db.fetchval("select id from media_objects")

    with refused("MD002", str(object_id)):
        await finish_upload(db, media, token, object_id)


async def test_a_finished_upload_cannot_be_finished_again(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    await finish_upload(db, media, token, begun["object_id"])
    before = await everything(db)

    with refused("MD001"):
        await finish_upload(db, media, token, begun["object_id"])

    assert await everything(db) == before


@pytest.mark.parametrize("end", ["final", "lease", "announced", "deleted"])
async def test_a_leader_that_dies_frees_those_who_wait(db: Any, end: str) -> None:
    leader = await queue_media(db, sha256=HASH)
    waiting = [await queue_media(db, sha256=HASH, priority=number) for number in (6, 3, 5)]
    if end == "announced":
        await describe(db, leader, (await claim(db))[leader], mime_type="text/html")
    elif end == "deleted":
        await begin_upload(db, leader, (await claim(db))[leader], content_hash=HASH)
        await db.execute("select delete_media($1)", leader)
    elif end == "final":
        token = (await claim(db))[leader]
        await begin_upload(db, leader, token, content_hash=HASH)
        await fail(db, leader, token, code="131052")
    else:
        await claim(db)
        await db.execute(
            "update media_processing_queue set attempts = max_attempts where id = $1", leader
        )
        await expire_lease(db, leader)
        await db.execute("select rescue_media_jobs()")

    rows = [await queue_row(db, media) for media in waiting]
    assert [row["status"] for row in rows] == ["waiting", "pending", "waiting"]
    assert rows[0]["waiting_for"] == rows[2]["waiting_for"] == waiting[1]
    assert (await events(db, waiting[1]))[-1] == "freed"
    held = await claim(db)
    assert list(held) == [waiting[1]]
    begun = await begin_upload(db, waiting[1], held[waiting[1]], content_hash=HASH)
    assert begun["verdict"] == "upload"
    assert await finish_upload(db, waiting[1], held[waiting[1]], begun["object_id"]) == 2
    for media in waiting:
        assert (await status(db, media))["status"] == "stored"


async def test_a_leader_that_tries_again_keeps_those_who_wait(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    waiting = await queue_media(db, sha256=HASH)
    token = (await claim(db))[leader]
    assert (await fail(db, leader, token))["verdict"] == "retry"
    await make_due(db)

    assert list(await claim(db)) == [leader]
    assert (await queue_row(db, waiting))["waiting_for"] == leader


async def test_who_may_not_have_the_format_is_not_linked(db: Any) -> None:
    """Both private, one content; but a photo is no audio, whoever downloaded it."""
    leader, audio = (
        await queue_media(db, media_type="document"),
        await queue_media(db, media_type="audio"),
    )
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    joined = await describe(db, audio, held[audio], mime_type="audio/mpeg", sha256=HASH)
    assert joined["verdict"] == "joined"
    begun = await begin_upload(db, leader, held[leader], content_hash=HASH)

    assert await finish_upload(db, leader, held[leader], begun["object_id"]) == 0

    assert (await media_row(db, audio))["processed"] is False
    assert (await queue_row(db, audio))["status"] == "pending"


async def test_the_media_type_of_who_joined_without_one_is_that_of_the_content(db: Any) -> None:
    leader, media = (
        await queue_media(db, media_type="video"),
        await queue_media(db, message_type="text"),
    )
    held = await claim(db)
    begun = await begin_upload(db, leader, held[leader], content_hash=HASH, mime_type="video/mp4")
    await begin_upload(db, media, held[media], content_hash=HASH, mime_type="video/mp4")

    assert await finish_upload(db, leader, held[leader], begun["object_id"]) == 1

    assert (await media_row(db, media))["media_type"] == "video"
