"""describe_media_source: the verdict before a download."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
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


async def test_content_that_another_one_fetches_is_joined_before_the_download(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)

    verdict = await describe(db, media, held[media], sha256=HASH)

    assert verdict["verdict"] == "joined"
    row = await queue_row(db, media)
    assert (row["status"], row["waiting_for"], row["attempts"]) == ("waiting", leader, 0)
    assert await events(db, media) == ["queued", "claimed", "joined"]


async def test_the_repeated_attempt_of_a_leader_still_leads(db: Any) -> None:
    media = await queue_media(db)
    await describe(db, media, (await claim(db))[media], sha256=HASH)
    await expire_lease(db, media)

    verdict = await describe(db, media, (await claim(db))[media], sha256=HASH)

    assert verdict["verdict"] == "download"
    assert await db.fetchval("select count(*) from media_objects") == 1


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


async def test_what_whatsapp_says_outranks_the_webhook_and_frees_who_waits(db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    waiting = [await queue_media(db, sha256=HASH) for _ in range(2)]
    token = (await claim(db))[leader]

    assert (await describe(db, leader, token, sha256=OTHER))["verdict"] == "download"

    assert (await media_row(db, leader))["whatsapp_sha256"] == OTHER
    first, second = [await queue_row(db, media) for media in waiting]
    assert first["status"] == "pending"
    assert second["waiting_for"] == waiting[0]
    begun = await begin_upload(db, leader, token, content_hash=OTHER)
    assert await finish_upload(db, leader, token, begun["object_id"]) == 0
    for media in waiting:
        assert (await media_row(db, media))["processed"] is False


async def test_who_waits_for_a_hash_is_never_given_other_content(db: Any) -> None:
    """The reservation of an earlier attempt is joined; then the leader's content is another."""
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    await describe(db, media, held[media], sha256=HASH)
    await expire_lease(db, leader)
    token = (await claim(db))[leader]
    await describe(db, leader, token, sha256=OTHER)
    late = await queue_media(db)
    late_token = (await claim(db))[late]
    await describe(db, late, late_token, sha256=HASH)

    begun = await begin_upload(db, leader, token, content_hash=OTHER)
    await finish_upload(db, leader, token, begun["object_id"])

    for other in (media, late):
        assert (await media_row(db, other))["content_hash"] is None
        assert (await queue_row(db, other))["status"] in {"pending", "processing", "waiting"}
    await make_due(db)
    await expire_lease(db, media)
    assert await claim(db)  # nobody waits for a leader that is gone


async def test_a_leader_that_joins_takes_those_who_wait_along(db: Any) -> None:
    leader = await queue_media(db, sha256=OTHER)
    waiting = await queue_media(db, sha256=OTHER)
    first = await queue_media(db)
    held = await claim(db)
    await describe(db, first, held[first], sha256=OTHER)

    assert (await describe(db, leader, held[leader], sha256=OTHER))["verdict"] == "joined"

    assert (await queue_row(db, waiting))["waiting_for"] == first
    begun = await begin_upload(db, first, held[first], content_hash=OTHER)
    assert await finish_upload(db, first, held[first], begun["object_id"]) == 2
    assert await db.fetchval("select count(*) from media where processed") == 3


async def test_a_leader_that_is_deduplicated_frees_those_who_wait(db: Any) -> None:
    await store(db, HASH)
    leader = await queue_media(db, sha256=OTHER)  # the webhook was wrong
    waiting = await queue_media(db, sha256=OTHER)
    token = (await claim(db))[leader]

    verdict = await describe(db, leader, token, sha256=HASH)

    assert verdict["verdict"] == "deduplicated"
    assert (await queue_row(db, waiting))["status"] == "pending"


async def test_two_open_transactions_have_one_leader(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    assert (await describe(one, first, held[first], sha256=HASH))["verdict"] == "download"

    async with two.transaction():
        other = asyncio.create_task(describe(two, second, held[second], sha256=HASH))
        await blocked(db, two)
        await transaction.commit()
        assert (await other)["verdict"] == "joined"

    assert (await queue_row(db, second))["waiting_for"] == first


async def test_when_the_first_is_rolled_back_the_second_leads(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    await describe(one, first, held[first], sha256=HASH)
    other = asyncio.create_task(describe(two, second, held[second], sha256=HASH))
    await blocked(db, two)
    await transaction.rollback()

    assert (await other)["verdict"] == "download"


async def test_the_reservation_of_a_leader_that_is_gone_is_taken_over(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    await db.execute("delete from media_processing_queue where id = $1", leader)  # by hand

    assert (await describe(db, media, held[media], sha256=HASH))["verdict"] == "download"

    assert await db.fetchval("select leader_id from media_objects") == media


async def test_a_leader_in_backoff_still_leads(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    assert (await fail(db, leader, held[leader], http_status=500))["verdict"] == "retry"

    assert (await describe(db, media, held[media], sha256=HASH))["verdict"] == "joined"


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
