"""queue_media_attachments: many at once, all or none, in order."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    blocked,
    events,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    store,
)


async def queue(db: Any, *attachments: object) -> list[Any]:
    call = "select queue_media_attachments($1)"
    return await db.fetchval(call, json.dumps(attachments, default=str))


async def test_the_ids_come_back_in_order_and_the_same_for_a_repeat(db: Any) -> None:
    message = await add_message(db)
    names = [f"file-{number}" for number in range(20, 0, -1)]
    attachments = [{"message_id": message, "whatsapp_media_id": name} for name in names]

    ids = await queue(db, *attachments, attachments[3])

    assert [(await media_row(db, one))["whatsapp_media_id"] for one in ids] == [*names, names[3]]
    assert len(set(ids)) == 20
    assert await queue(db, *attachments, attachments[3]) == ids
    assert await queue_media(db, names[0], message_id=message) == ids[0]
    assert await events(db, ids[0]) == ["queued"]


async def test_each_is_what_queue_media_processing_makes_of_it(db: Any) -> None:
    message = await add_message(db)
    full = {
        "media_type": "image", "mime_type": "image/JPEG; q=1", "file_name": "a.jpg",
        "caption": "b", "file_size": 10, "sha256": sha256(b"c").upper(), "priority": 2,
    }  # fmt: skip

    several: list[dict[str, Any]] = [full, {}, {"mime_type": "application/pdf"}, {"priority": 9}]
    for given in several:
        expected = await queue_media(db, message_id=message, **given)
        (found,) = await queue(
            db, {"message_id": message, "whatsapp_media_id": uuid4().hex, **given}
        )

        for read in (media_row, queue_row):
            pair = [dict(await read(db, one)) for one in (expected, found)]
            for row in pair:
                for own in ("id", "whatsapp_media_id", "created_at", "due_at", "queued_at",
                            "waiting_for", "status"):  # fmt: skip
                    row.pop(own, None)
            assert pair[0] == pair[1]


async def test_content_that_is_stored_is_linked_at_once(db: Any) -> None:
    known = await store(db, sha256(b"known"), media_type="image")
    message = await add_message(db)

    one, other = await queue(
        db,
        {"message_id": message, "whatsapp_media_id": "1", "media_type": "image",
         "sha256": sha256(b"known")},
        {"message_id": message, "whatsapp_media_id": "2", "media_type": "image"},
    )  # fmt: skip

    assert (await media_row(db, one))["object_id"] == (await media_row(db, known))["object_id"]
    assert (await queue_row(db, other))["status"] == "pending"


async def test_what_was_deleted_is_queued_again(db: Any) -> None:
    message = await add_message(db)
    attachment = {"message_id": message, "whatsapp_media_id": "1"}
    (first,) = await queue(db, attachment)
    await db.execute("delete from media")

    (second,) = await queue(db, attachment)

    assert second != first
    assert await db.fetchval("select count(*) from media_tombstones") == 0


async def test_none_is_none(db: Any) -> None:
    assert await queue(db) == []


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"message_id": str(uuid4())}, "MD010", "attachment 2 of 3: message"),
    ({"message_id": None}, "MD010", "attachment 2 of 3: message null does not exist"),
    ({"message_id": "?"}, "22P02", "attachment 2 of 3: invalid input syntax for type uuid"),
    ({"media_type": "gif"}, "MD011", "attachment 2 of 3: unknown media type 'gif'"),
    ({"priority": 11}, "MD012", "attachment 2 of 3: priority 11"),
    ({"priority": None}, "MD012", "attachment 2 of 3: priority null"),
    ({"sha256": "?"}, "MD013", "attachment 2 of 3: sha256"),
    ({"whatsapp_media_id": " "}, "MD014", "attachment 2 of 3: the media id is empty"),
    ({"file_size": -1}, "MD015", "attachment 2 of 3: file size -1"),
    ({"file_size": "much"}, "22P02", "attachment 2 of 3: invalid input syntax"),
    ({"source": "whatsapp:1"}, "MD029", "attachment 2 of 3: unknown key 'source'"),
]


@pytest.mark.parametrize(("change", "code", "words"), BAD)
async def test_one_that_cannot_be_used_is_named_and_none_is_queued(
    db: Any, change: dict[str, Any], code: str, words: str
) -> None:
    message = await add_message(db)
    good = [{"message_id": message, "whatsapp_media_id": str(number)} for number in range(3)]
    good[1] |= change

    with refused(code, words):
        await queue(db, *good)

    assert await db.fetchval("select count(*) from media") == 0


@pytest.mark.parametrize("value", ["{}", "1", "null", '"a"', "[1]", "[null]", "[[]]"])
async def test_what_is_no_array_of_objects_is_refused(db: Any, value: str) -> None:
    with refused(
        "MD029", "array" if value[0] != "[" else "attachment 1 of 1: it is no JSON object"
    ):
        await db.fetchval("select queue_media_attachments($1)", value)


async def test_two_that_bring_the_same_wait_for_each_other(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    attachments = [
        {"message_id": await add_message(db), "whatsapp_media_id": str(number)}
        for number in range(10)
    ]
    transaction = one.transaction()
    await transaction.start()
    first = await queue(one, *attachments)
    second = asyncio.create_task(queue(two, *reversed(attachments)))
    await blocked(db, two)
    await transaction.commit()

    assert list(reversed(await second)) == first
