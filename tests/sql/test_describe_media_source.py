"""describe_media_source: the verdict before a download."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.helpers import (
    claim,
    describe,
    events,
    everything,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

HASH, OTHER = sha256(b"a photo"), sha256(b"another photo")
LIMIT = 52_428_800


async def test_new_content_is_downloaded(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    verdict = await describe(db, media, token, file_size=LIMIT, sha256=HASH)

    assert tuple(verdict) == ("download", None, LIMIT)
    row = await media_row(db, media)
    assert (row["whatsapp_sha256"], row["file_size"], row["mime_type"]) == (
        HASH, LIMIT, "image/jpeg",
    )  # fmt: skip
    assert (await queue_row(db, media))["content_hash"] == HASH
    reservation = await db.fetchrow("select * from media_objects")
    assert (reservation["state"], reservation["leader_id"]) == ("uploading", media)


async def test_without_a_hash_nothing_is_reserved(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    verdict = await describe(db, media, token, mime_type="", file_size=None, sha256=None)

    assert verdict["verdict"] == "download"
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_an_unknown_media_type_is_taken_from_what_whatsapp_says(db: Any) -> None:
    media = await queue_media(db, message_type="text")
    token = (await claim(db))[media]

    await describe(db, media, token, mime_type="Audio/X-WAV; rate=8000")

    row = await media_row(db, media)
    assert (row["media_type"], row["mime_type"]) == ("audio", "audio/x-wav")


async def test_what_whatsapp_does_not_say_does_not_erase_what_the_webhook_said(db: Any) -> None:
    media = await queue_media(db, mime_type="image/png", file_size=5, sha256=HASH)
    token = (await claim(db))[media]

    await describe(db, media, token, mime_type="", file_size=None, sha256="not a hash")

    row = await media_row(db, media)
    assert (row["mime_type"], row["file_size"], row["whatsapp_sha256"]) == ("image/png", 5, HASH)


async def test_stored_content_is_not_downloaded(db: Any) -> None:
    first = await media_row(db, await store(db, HASH))
    media = await queue_media(db)
    token = (await claim(db))[media]
    encoded = base64.b64encode(bytes.fromhex(HASH)).decode()

    verdict = await describe(db, media, token, sha256=encoded)

    assert verdict["verdict"] == "deduplicated"
    row = await media_row(db, media)
    assert row["object_id"] == first["object_id"]
    assert await queue_row(db, media) is None
    assert await events(db, media) == ["queued", "claimed", "deduplicated"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"file_size": LIMIT + 1}, "too_large"),
        ({"file_size": 2**62}, "too_large"),
        ({"mime_type": "image/svg+xml"}, "type_not_allowed"),
        ({"mime_type": "text/html; charset=utf-8"}, "type_not_allowed"),
    ],
)
async def test_what_is_never_stored_is_rejected(
    db: Any, arguments: dict[str, Any], reason: str
) -> None:
    media = await queue_media(db, sha256=HASH)
    waiting = await queue_media(db, sha256=HASH)
    token = (await claim(db))[media]

    verdict = await describe(db, media, token, sha256=HASH, **arguments)

    assert (verdict["verdict"], verdict["reason"]) == ("rejected", reason)
    found = await status(db, media)
    assert (found["status"], found["error_code"]) == ("failed", reason)
    assert (await media_row(db, media))["failure_code"] == reason
    assert await events(db, media) == ["queued", "claimed", "failed"]
    assert await db.fetchval("select count(*) from media_objects") == 0
    assert list(await claim(db)) == [waiting]  # it may have been announced differently


@pytest.mark.parametrize("mime_type", ["application/octet-stream", "image/jpg", ""])
async def test_a_vague_type_is_decided_by_the_bytes(db: Any, mime_type: str) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    assert (await describe(db, media, token, mime_type=mime_type))["verdict"] == "download"


async def test_the_limit_is_the_buckets(db: Any) -> None:
    await db.execute(
        "update media_buckets set file_size_limit = case bucket_name"
        " when 'images' then 10 when 'videos' then 99 else 50 end"
    )
    image = await queue_media(db)
    unknown = await queue_media(db, message_type="text")
    held = await claim(db)

    found = await describe(db, image, held[image], file_size=10)
    assert (found["verdict"], found["max_bytes"]) == ("download", 10)
    found = await describe(db, unknown, held[unknown], mime_type="", file_size=None)
    assert (found["verdict"], found["max_bytes"]) == ("download", 99)


async def test_stored_content_is_refused_where_its_format_may_not_arrive(db: Any) -> None:
    """As begin_media_upload would, had the hash not been announced."""
    await store(db, HASH, media_type="document")  # a photo, sent as a document
    media = await queue_media(db, media_type="audio")
    token = (await claim(db))[media]

    verdict = await describe(db, media, token, mime_type="audio/mpeg", sha256=HASH)

    assert (verdict["verdict"], verdict["reason"]) == ("rejected", "type_mismatch")
    assert (await media_row(db, media))["object_id"] is None


async def test_a_verdict_is_rolled_back_with_its_transaction(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    before = await everything(db)
    transaction = db.transaction()
    await transaction.start()
    await describe(db, media, token, sha256=HASH)
    await transaction.rollback()

    assert await everything(db) == before
