"""check_media_exists, get_media_by_message, get_media_status, get_media_audit_trail."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    POLLER,
    add_message,
    claim,
    events,
    fail,
    media_row,
    queue_media,
    refused,
    sha256,
    status,
    store,
)

HASH = sha256(b"a photo")


async def exists(db: Any, content_hash: str | None) -> list[Any]:
    return await db.fetch("select * from check_media_exists($1)", content_hash)


async def by_message(db: Any, message: UUID | None) -> list[Any]:
    return await db.fetch("select * from get_media_by_message($1)", message)


async def test_content_that_is_not_stored_does_not_exist(db: Any) -> None:
    await queue_media(db, sha256=HASH)
    await claim(db)

    assert await exists(db, HASH) == []


@pytest.mark.parametrize(
    "given", [HASH, HASH.upper(), base64.b64encode(bytes.fromhex(HASH)).decode()]
)
async def test_stored_content_is_found_by_its_hash(db: Any, given: str) -> None:
    await db.execute("select set_media_project_url('https://abc.supabase.co')")
    row = await media_row(db, await store(db, HASH))

    found = await exists(db, given)

    assert len(found) == 1
    for name in ("object_id", "bucket_name", "storage_path", "public_url", "mime_type"):
        assert found[0][name] == row[name]
    assert found[0]["file_size"] == 1000
    assert found[0]["public_url"].startswith("https://abc.supabase.co/storage/v1/object/public/")


async def test_a_public_and_a_private_one(db: Any) -> None:
    await db.execute("select set_media_project_url('https://abc.supabase.co')")
    await store(db, HASH, media_type="document")
    await store(db, HASH, media_type="image")

    found = await exists(db, HASH)

    assert [row["bucket_name"] for row in found] == ["images", "documents"]
    assert found[0]["public_url"] is not None
    assert found[1]["public_url"] is None


async def test_content_on_its_way_out_does_not_exist(db: Any) -> None:
    await db.execute("select delete_media($1)", await store(db, HASH))

    assert await exists(db, HASH) == []


@pytest.mark.parametrize("given", [None, "", "x", HASH[:-1], HASH + " "])
async def test_what_is_no_hash_is_refused(db: Any, given: str | None) -> None:
    with refused("MD013", "null" if given is None else f"'{given}'"):
        await exists(db, given)


async def test_the_attachments_of_a_message_in_the_order_they_were_queued(db: Any) -> None:
    message = await add_message(db)
    queued = [await queue_media(db, str(9 - n), message_id=message) for n in range(4)]
    await queue_media(db)

    assert [row["id"] for row in await by_message(db, message)] == queued
    assert [row["status"] for row in await by_message(db, message)] == ["pending"] * 4


async def test_where_an_attachment_is_stored_or_why_not(db: Any) -> None:
    message = await add_message(db)
    stored = await store(db, HASH, message_id=message, file_name="a.jpg", caption="look")
    dead = await queue_media(db, message_id=message)
    await fail(db, dead, (await claim(db))[dead], code="100")

    first, second = await by_message(db, message)

    row = await media_row(db, stored)
    assert (first["status"], first["file_name"], first["caption"]) == ("stored", "a.jpg", "look")
    for name in ("storage_path", "content_hash", "file_size", "mime_type", "processed_at"):
        assert first[name] == row[name]
        assert first[name] is not None
    assert (second["status"], second["failure_code"]) == ("failed", "media_expired_or_foreign")
    assert second["failure_text"]
    assert second["processed_at"] is None


async def test_a_message_without_media_has_none(db: Any) -> None:
    assert await by_message(db, await add_message(db)) == []
    assert await by_message(db, UUID(int=1)) == []
    assert await by_message(db, None) == []


async def test_the_status_follows_the_life(db: Any) -> None:
    media = await queue_media(db)
    waiting = await queue_media(db)
    found = await status(db, media)
    assert (found["media_id"], found["status"], found["attempts"]) == (media, "pending", 0)
    assert (found["max_attempts"], found["poller"]) == (12, None)

    held = await claim(db)
    found = await status(db, media)
    assert (found["status"], found["attempts"], found["poller"]) == ("processing", 1, POLLER)

    await fail(db, media, held[media], http_status=500, text="later")
    found = await status(db, media)
    assert (found["status"], found["error_code"]) == ("pending", "whatsapp_unavailable")
    assert found["error_text"] == "later (http 500)"

    await fail(db, waiting, held[waiting], code="131051")
    found = await status(db, waiting)
    assert (found["status"], found["error_code"]) == ("failed", "message_type_unsupported")

    found = await status(db, await store(db, HASH))
    assert (found["status"], found["attempts"], found["due_at"]) == ("stored", None, None)
    assert found["storage_path"]


@pytest.mark.parametrize("given", [UUID(int=5), None])
async def test_an_unknown_id_has_no_status(db: Any, given: UUID | None) -> None:
    with refused("MD016", str(given or "null")):
        await db.fetchrow("select * from get_media_status($1)", given)


async def test_a_row_that_was_never_queued_is_unknown(db: Any) -> None:
    media = await db.fetchval(
        "insert into media (message_id, whatsapp_media_id) values ($1, '1') returning id",
        await add_message(db),
    )

    assert (await status(db, media))["status"] == "unknown"


async def test_a_deleted_attachment_has_a_trail_but_no_status(db: Any) -> None:
    media = await store(db, HASH)
    await db.execute("select delete_media($1)", media)

    with refused("MD016"):
        await status(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored", "deleted"]
    assert await events(db, UUID(int=1)) == []


async def test_the_trail_is_in_order_and_says_who_and_when(db: Any) -> None:
    media = await queue_media(db)
    for _ in range(3):
        await fail(db, media, (await claim(db))[media], http_status=500)
        await db.execute("update media_processing_queue set due_at = now()")

    trail = await db.fetch("select * from get_media_audit_trail($1)", media)

    assert [row["event"] for row in trail] == ["queued"] + ["claimed", "attempt failed"] * 3
    assert [row["attempt"] for row in trail] == [None, 1, 1, 2, 2, 3, 3]
    assert {row["poller"] for row in trail[1:]} == {POLLER}
    assert sorted(row["at"] for row in trail) == [row["at"] for row in trail]
