"""queue_media_processing: one call, one id, nothing half done."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    blocked,
    claim,
    describe,
    events,
    eventually,
    everything,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

HASH = sha256(b"a photo")
BASE64 = base64.b64encode(bytes.fromhex(HASH)).decode()
OTHER = sha256(b"another photo")


async def test_message_and_media_id_are_enough(db: Any) -> None:
    message = await add_message(db)

    media = await db.fetchval("select queue_media_processing($1, '1234567890')", message)

    row = await queue_row(db, media)
    assert (row["message_id"], row["whatsapp_media_id"]) == (message, "1234567890")
    assert (row["status"], row["priority"], row["attempts"]) == ("pending", 5, 0)
    assert (await media_row(db, media))["processed"] is False
    assert await events(db, media) == ["queued"]


async def test_every_argument_is_kept(db: Any) -> None:
    media = await queue_media(
        db, "77", media_type="document", mime_type="application/pdf", file_name="Überweisung 1.pdf",
        caption="see: “here”", file_size=123, sha256=BASE64, priority=2,
    )  # fmt: skip

    row = await media_row(db, media)
    found = {name: row[name] for name in ("media_type", "mime_type", "file_name", "caption")}
    assert found == {
        "media_type": "document",
        "mime_type": "application/pdf",
        "file_name": "Überweisung 1.pdf",
        "caption": "see: “here”",
    }
    assert (row["whatsapp_media_id"], row["file_size"]) == ("77", 123)
    assert row["whatsapp_sha256"] == HASH
    assert (await queue_row(db, media))["priority"] == 2


@pytest.mark.parametrize(
    ("message_type", "mime_type", "expected"),
    [
        ("image", None, "image"),
        ("sticker", "image/webp", "sticker"),
        ("text", "application/pdf", "document"),
        ("text", "Audio/OGG; codecs=opus", "audio"),
        ("text", "image/svg+xml", None),
        ("text", None, None),
        (None, None, None),
    ],
)
async def test_the_media_type_is_taken_from_the_message_or_else_the_mime_type(
    db: Any, message_type: str | None, mime_type: str | None, expected: str | None
) -> None:
    message = await add_message(db, message_type)  # pyright: ignore[reportArgumentType]
    media = await queue_media(db, message_id=message, mime_type=mime_type)

    assert (await media_row(db, media))["media_type"] == expected


@pytest.mark.parametrize("given", [HASH, HASH.upper(), BASE64])
async def test_a_hash_is_normalised(db: Any, given: str) -> None:
    media = await queue_media(db, sha256=given)

    assert (await media_row(db, media))["whatsapp_sha256"] == HASH
    assert (await queue_row(db, media))["content_hash"] == HASH


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("audio/ogg; codecs=opus", "audio/ogg"),
        ("  IMAGE/JPEG ;q=1", "image/jpeg"),
        ("", None),
        (" ; ", None),
        (None, None),
    ],
)
async def test_a_mime_type_loses_its_parameters(
    db: Any, given: str | None, kept: str | None
) -> None:
    media = await queue_media(db, mime_type=given)

    assert (await media_row(db, media))["mime_type"] == kept


async def test_a_repeat_changes_nothing(db: Any) -> None:
    message = await add_message(db)
    media = await queue_media(db, "1", message_id=message, sha256=HASH)
    before = await everything(db)

    again = await queue_media(
        db, "1", message_id=message, media_type="audio", mime_type="audio/ogg", file_name="x",
        file_size=9, sha256=OTHER, priority=1,
    )  # fmt: skip

    assert again == media
    assert await everything(db) == before


async def test_a_repeat_for_a_stored_or_failed_attachment_changes_nothing(db: Any) -> None:
    message = await add_message(db)
    media = await store(db, HASH, media_id="1", message_id=message)
    dead = await queue_media(db, "2", message_id=message)
    await describe(db, dead, (await claim(db))[dead], mime_type="text/html")
    before = await everything(db)

    assert await queue_media(db, "1", message_id=message) == media
    assert await queue_media(db, "2", message_id=message) == dead
    assert await everything(db) == before


async def test_the_same_media_id_in_another_message_is_another_attachment(db: Any) -> None:
    assert await queue_media(db, "1") != await queue_media(db, "1")


async def test_two_open_transactions_get_one_id(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    message = await add_message(db)
    first = one.transaction()
    await first.start()
    media = await queue_media(one, "1", message_id=message)

    async with two.transaction():
        second = asyncio.create_task(queue_media(two, "1", message_id=message))
        await blocked(db, two)
        await first.commit()
        assert await second == media

    assert await db.fetchval("select count(*) from media_processing_queue") == 1
    assert await events(db, media) == ["queued"]


async def test_a_repeat_after_a_rolled_back_first_call_queues(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    message = await add_message(db)
    first = one.transaction()
    await first.start()
    lost = await queue_media(one, "1", message_id=message)
    second = asyncio.create_task(queue_media(two, "1", message_id=message))
    await blocked(db, two)
    await first.rollback()

    media = await second

    assert media != lost
    assert (await status(db, media))["status"] == "pending"


async def test_it_commits_with_the_message_or_not_at_all(db: Any) -> None:
    before = await everything(db)
    transaction = db.transaction()
    await transaction.start()
    await queue_media(db)
    await transaction.rollback()

    assert await everything(db) == before


async def test_claims_follow_the_priority_and_then_the_order_of_arrival(db: Any) -> None:
    queued = [await queue_media(db, priority=priority) for priority in (5, 10, 1, 5, 1)]

    claimed = list(await claim(db))

    assert claimed == [queued[number] for number in (2, 4, 0, 3, 1)]


async def test_a_notification_is_sent_at_commit_and_only_once(connect: Connect, db: Any) -> None:
    listener = await connect()
    heard: list[str] = []

    def on_event(_connection: Any, _pid: int, channel: str, _payload: Any) -> None:
        heard.append(channel)

    await listener.add_listener("pgmedia_wake", on_event)
    async with db.transaction():
        for _ in range(3):
            await queue_media(db)
        await listener.fetchval("select 1")
        assert heard == []
    await eventually(lambda: heard)
    await db.execute("notify pgmedia_wake")  # what was sent before it has arrived when it arrives
    await eventually(lambda: len(heard) > 1)

    assert heard == ["pgmedia_wake"] * 2


async def test_while_one_transaction_will_notify_the_others_do_not(
    connect: Connect, db: Any
) -> None:
    one, two, listener = await connect(), await connect(), await connect()
    heard: list[int] = []

    def on_event(_connection: Any, pid: int, _channel: str, _payload: Any) -> None:
        heard.append(pid)

    await listener.add_listener("pgmedia_wake", on_event)
    async with one.transaction():
        await queue_media(one)
        await queue_media(two)  # neither waits for the gate nor notifies
    await db.execute("notify pgmedia_wake")
    await eventually(lambda: db.get_server_pid() in heard)

    assert heard == [one.get_server_pid(), db.get_server_pid()]


async def test_a_row_the_bot_made_itself_is_queued(db: Any) -> None:
    message = await add_message(db)
    media = await db.fetchval(
        "insert into media (message_id, whatsapp_media_id) values ($1, 'own') returning id", message
    )

    assert await queue_media(db, "own", message_id=message) == media
    assert await queue_media(db, "own", message_id=message) == media

    assert (await status(db, media))["status"] == "pending"
    assert await events(db, media) == ["queued"]


async def test_a_row_the_bot_processed_itself_is_left_alone(db: Any) -> None:
    message = await add_message(db)
    media = await db.fetchval(
        "insert into media (message_id, whatsapp_media_id, processed)"
        " values ($1, 'own', true) returning id",
        message,
    )

    assert await queue_media(db, "own", message_id=message) == media

    assert await db.fetchval("select count(*) from media_processing_queue") == 0
