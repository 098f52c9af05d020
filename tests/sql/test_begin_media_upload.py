"""begin_media_upload: the verdict on bytes that are here."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    describe,
    events,
    expire_lease,
    finish_upload,
    make_due,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

HASH, OTHER = sha256(b"a photo"), sha256(b"another photo")
LIMIT = 52_428_800


async def test_an_upload_has_a_place_and_its_headers(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    begun = await begin_upload(db, media, token, content_hash=HASH, mime_type="image/jpg")

    month = datetime.now(UTC).strftime("%Y/%m")
    assert begun["verdict"] == "upload"
    assert begun["bucket_name"] == "images"
    assert begun["storage_path"] == f"{month}/{begun['object_id']}.jpg"
    assert re.fullmatch(r"\d{4}/\d\d/[0-9a-f-]{36}\.jpg", begun["storage_path"])
    assert begun["content_type"] == "image/jpeg"  # canonical, not the alias
    assert begun["cache_control"] == "max-age=31536000, immutable"


async def test_the_month_of_a_path_is_that_of_utc(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    await describe(db, media, token, sha256=HASH)
    await db.execute("update media_objects set created_at = '2031-12-31 23:30:00+00'")
    await db.execute("set timezone = 'Asia/Tokyo'")

    begun = await begin_upload(db, media, token, content_hash=HASH)

    assert begun["storage_path"].startswith("2031/12/")


async def test_a_second_attempt_has_the_same_path(db: Any) -> None:
    media = await queue_media(db)
    first = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)
    await expire_lease(db, media)
    await db.execute("update media_formats set extension = 'jpeg' where extension = 'jpg'")

    second = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)

    assert tuple(second) == tuple(first)
    assert await db.fetchval("select count(*) from media_objects") == 1


async def test_each_bucket_and_extension(db: Any) -> None:
    for kind, mime_type, bucket, extension in [
        ("sticker", "image/webp", "images", "webp"),
        ("audio", "audio/ogg", "audio", "ogg"),
        ("video", "video/mp4", "videos", "mp4"),
        ("document", "application/pdf", "documents", "pdf"),
        ("document", "video/mp4", "documents", "mp4"),
        (None, "video/3gpp", "videos", "3gp"),
        (None, "text/plain", "documents", "txt"),
    ]:
        media = await queue_media(db, message_type="text", media_type=kind)
        token = (await claim(db))[media]
        begun = await begin_upload(
            db, media, token, content_hash=sha256(media.bytes), mime_type=mime_type
        )
        assert (begun["verdict"], begun["bucket_name"]) == ("upload", bucket)
        assert begun["storage_path"].endswith(f".{extension}")
        await finish_upload(db, media, token, begun["object_id"])
        row = await media_row(db, media)
        assert row["mime_type"] == mime_type
        assert row["media_type"] == (kind or {"videos": "video", "documents": "document"}[bucket])


async def test_stored_content_is_not_uploaded_again(db: Any) -> None:
    first = await media_row(db, await store(db, HASH))
    media = await queue_media(db)
    token = (await claim(db))[media]

    begun = await begin_upload(db, media, token, content_hash=HASH)

    assert begun["verdict"] == "deduplicated"
    assert begun["storage_path"] is None
    assert (await media_row(db, media))["storage_path"] == first["storage_path"]
    assert await queue_row(db, media) is None
    assert await events(db, media) == ["queued", "claimed", "deduplicated"]


async def test_content_that_another_one_uploads_is_joined(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await begin_upload(db, leader, held[leader], content_hash=HASH)

    begun = await begin_upload(db, media, held[media], content_hash=HASH)

    assert (begun["verdict"], begun["object_id"]) == ("joined", None)
    row = await queue_row(db, media)
    assert (row["waiting_for"], row["content_hash"], row["attempts"]) == (leader, HASH, 0)


async def test_two_open_transactions_have_one_uploader(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    await begin_upload(one, first, held[first], content_hash=HASH)

    async with two.transaction():
        other = asyncio.create_task(begin_upload(two, second, held[second], content_hash=HASH))
        await blocked(db, two)
        await transaction.commit()
        assert (await other)["verdict"] == "joined"


async def test_a_begin_during_the_finish_is_deduplicated(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    begun = await begin_upload(db, first, held[first], content_hash=HASH)
    transaction = one.transaction()
    await transaction.start()
    await finish_upload(one, first, held[first], begun["object_id"])
    other = asyncio.create_task(begin_upload(two, second, held[second], content_hash=HASH))
    await blocked(db, two)
    await transaction.commit()

    assert (await other)["verdict"] == "deduplicated"
    assert await db.fetchval("select count(*) from media where processed") == 2


@pytest.mark.parametrize(
    ("arguments", "reason", "words"),
    [
        ({"file_size": 0}, "empty_file", "no bytes"),
        ({"file_size": LIMIT + 1}, "too_large", f"more than {LIMIT} bytes"),
        ({"mime_type": "text/html"}, "active_content", "the bytes are text/html: it is HTML"),
        ({"mime_type": "text/x-shellscript"}, "active_content", "text of a program"),
        ({"mime_type": "application/x-dosexec"}, "executable", "a program"),
        ({"mime_type": "application/zip"}, "archive", "an archive"),
        ({"mime_type": "image/heic"}, "type_not_allowed", "image/heic"),
        ({"mime_type": "application/octet-stream"}, "type_not_allowed", "octet-stream"),
        ({"mime_type": ""}, "type_not_allowed", ""),
        ({"mime_type": "application/pdf"}, "type_mismatch", "sent as image"),
        ({"mime_type": "audio/ogg"}, "type_mismatch", "audio/ogg"),
    ],
)
@pytest.mark.parametrize("known", [False, True])
async def test_each_reason_to_reject(
    db: Any, arguments: dict[str, Any], reason: str, words: str, known: bool
) -> None:
    media = await queue_media(db, media_type="image", sha256=HASH if known else None)
    token = (await claim(db))[media]
    await describe(db, media, token, sha256=HASH if known else None)

    begun = await begin_upload(db, media, token, content_hash=HASH, **arguments)

    assert (begun["verdict"], begun["reason"]) == ("rejected", reason)
    found = await status(db, media)
    assert (found["status"], found["error_code"]) == ("failed", reason)
    assert words in found["error_text"]
    assert (await media_row(db, media))["failure_code"] == reason
    assert await events(db, media) == ["queued", "claimed", "failed"]
    assert await db.fetchval("select count(*) from media_objects") == 0
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0


async def test_a_cut_off_download_is_too_large_and_not_a_wrong_hash(db: Any) -> None:
    media = await queue_media(db, sha256=HASH)
    token = (await claim(db))[media]

    begun = await begin_upload(db, media, token, content_hash=OTHER, file_size=LIMIT + 1)

    assert (begun["verdict"], begun["reason"]) == ("rejected", "too_large")


async def test_an_unknown_media_type_is_decided_by_content(db: Any) -> None:
    media = await queue_media(db, message_type="text")
    token = (await claim(db))[media]
    await describe(db, media, token, mime_type="")

    begun = await begin_upload(db, media, token, content_hash=HASH, mime_type="video/mp4")

    assert (begun["verdict"], begun["bucket_name"]) == ("upload", "videos")
    await finish_upload(db, media, token, begun["object_id"])
    assert (await media_row(db, media))["media_type"] == "video"


async def test_a_wrong_hash_is_tried_again_and_dead_after_the_last_attempt(db: Any) -> None:
    media = await queue_media(db, sha256=HASH)
    for attempt in range(1, 6):
        await make_due(db)
        token = (await claim(db))[media]
        begun = await begin_upload(db, media, token, content_hash=OTHER)
        assert (begun["verdict"], begun["reason"]) == ("retry", "hash_mismatch")
        assert (await queue_row(db, media))["attempts"] == attempt

    found = await status(db, media)
    assert (found["status"], found["error_code"]) == ("failed", "hash_mismatch")
    assert HASH in found["error_text"]
    assert OTHER in found["error_text"]
    assert (await events(db, media)).count("attempt failed") == 4
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_a_rejected_leader_rejects_who_waits_with_the_same_content_and_type(db: Any) -> None:
    leader = await queue_media(db, media_type="document", sha256=HASH)
    same = await queue_media(db, media_type="document", sha256=HASH)
    other = await queue_media(db, media_type="video")
    held = await claim(db)
    await describe(db, leader, held[leader], mime_type="application/pdf", sha256=HASH)
    joined = await describe(db, other, held[other], mime_type="video/mp4", sha256=HASH)
    assert joined["verdict"] == "joined"

    await begin_upload(db, leader, held[leader], content_hash=HASH, mime_type="text/html")

    assert (await status(db, same))["error_code"] == "active_content"
    assert (await events(db, same))[-1] == "failed"
    assert (await queue_row(db, other))["status"] == "pending"  # judged for itself
    assert await db.fetchval("select sum(failed_files) from media_analytics_deltas") == 2


async def test_a_rejected_leader_does_not_reject_who_waits_for_other_content(db: Any) -> None:
    """Without an announced hash, a second attempt may receive other bytes than the first."""
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await begin_upload(db, leader, held[leader], content_hash=HASH)
    assert (await begin_upload(db, media, held[media], content_hash=HASH))["verdict"] == "joined"
    await expire_lease(db, leader)
    token = (await claim(db))[leader]

    await begin_upload(db, leader, token, content_hash=OTHER, mime_type="text/html")

    assert (await status(db, leader))["status"] == "failed"
    assert (await queue_row(db, media))["status"] == "pending"


async def test_other_bytes_in_a_second_attempt_are_another_object(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    first = await begin_upload(db, leader, held[leader], content_hash=HASH)
    await begin_upload(db, media, held[media], content_hash=HASH)
    await expire_lease(db, leader)
    token = (await claim(db))[leader]

    second = await begin_upload(db, leader, token, content_hash=OTHER)

    assert second["object_id"] != first["object_id"]
    assert second["storage_path"] != first["storage_path"]
    assert await finish_upload(db, leader, token, second["object_id"]) == 0
    assert (await queue_row(db, media))["status"] == "pending"
    removed = await db.fetch("select storage_path from media_deletion_queue")
    assert [row[0] for row in removed] == [first["storage_path"]]
    assert await db.fetchval("select count(*) from media_objects") == 1


async def test_what_a_dead_leader_uploaded_is_removed(db: Any) -> None:
    media = await queue_media(db)
    begun = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)
    await expire_lease(db, media)
    token = (await claim(db))[media]
    await begin_upload(db, media, token, content_hash=HASH, mime_type="text/html")

    row = await db.fetchrow("select * from media_deletion_queue")

    assert (row["storage_path"], row["object_id"]) == (begun["storage_path"], None)
    assert row["reason"] == "upload abandoned"
