"""describe_media_source of content that is being fetched: who leads, joins, and takes over."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    describe,
    events,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    media_row,
    queue_media,
    queue_row,
    sha256,
    store,
)

HASH, OTHER = sha256(b"a photo"), sha256(b"another photo")


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


async def test_a_leader_whose_bytes_turn_out_to_be_stored_frees_those_who_wait(db: Any) -> None:
    """WhatsApp tells no hash, and hands out other bytes at the second attempt."""
    leader, waiting = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await begin_upload(db, leader, held[leader], content_hash=HASH)
    await describe(db, waiting, held[waiting], sha256=HASH)
    assert (await queue_row(db, waiting))["waiting_for"] == leader
    await fail(db, leader, held[leader], source="storage", http_status=500)
    await store(db, OTHER)
    await make_due(db)
    token = (await claim(db))[leader]

    verdict = await begin_upload(db, leader, token, content_hash=OTHER)

    assert verdict["verdict"] == "deduplicated"
    row = await queue_row(db, waiting)
    assert (row["status"], row["waiting_for"]) == ("pending", None)
    token = (await claim(db))[waiting]
    assert (await describe(db, waiting, token, sha256=HASH))["verdict"] == "download"


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
