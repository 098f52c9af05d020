"""The backfill: messages that speak of media of which there is no row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import everything, refused, sha256, store
from tests.webhook.payloads import base64_hash, edit, lost, media, message

FIELDS = ("queued", "failed", "expired", "deleted", "unusable")


def recent(kind: str = "image", **changes: Any) -> dict[str, Any]:
    return message(kind, timestamp=str(int(time.time()) - 3600), **changes)


async def add(db: Any, *messages: dict[str, Any], phone_number_id: str = "4711") -> list[UUID]:
    """Messages as the webhook or a bot stores them, without their media."""
    return [
        await db.fetchval(
            "insert into messages (whatsapp_message_id, phone_number_id, message_type, raw_payload,"
            " sent_at) values ($1, $2, $3, $4, to_timestamp($5)) returning id",
            one["id"], phone_number_id, one["type"], json.dumps(one), int(one["timestamp"]),
        )
        for one in messages
    ]  # fmt: skip


async def backfill(db: Any, **arguments: Any) -> dict[str, Any]:
    named = ", ".join(f"{name} => ${number}" for number, name in enumerate(arguments, 1))
    row = await db.fetchrow(f"select * from queue_missing_media({named})", *arguments.values())
    return dict(row)


def counts(answer: dict[str, Any]) -> dict[str, int]:
    return {name: answer[name] for name in FIELDS if answer[name]}


async def test_what_is_missing_is_queued_once(db: Any) -> None:
    video = recent("video")
    (first, *_) = await add(
        db, video, recent("document"), recent("text"), edit(recent()["id"], recent())
    )

    answer = await backfill(db)

    assert counts(answer)["queued"] >= 2
    assert answer["is_finished"]
    row = await db.fetchrow(
        "select q.*, m.media_type, m.caption from media m join media_processing_queue q using (id)"
        " where m.message_id = $1", first,
    )  # fmt: skip
    assert (row["source"], row["media_type"]) == ("whatsapp:4711", "video")
    assert (row["whatsapp_media_id"], row["caption"]) == (video["video"]["id"], "at sea")
    before = await everything(db)
    assert counts(await backfill(db)) == {}
    assert await everything(db) == before


async def test_pages_go_on_where_the_last_one_came_to(db: Any) -> None:
    await add(db, *[recent() for _ in range(25)])
    queued, after, calls = 0, None, 0
    while True:
        answer = await backfill(db, at_most=10, after=after)
        queued, after, calls = queued + answer["queued"], answer["reached"], calls + 1
        if answer["is_finished"]:
            break

    assert (queued, calls) == (25, 3)
    assert (await backfill(db, after=after))["looked_at"] == 0


async def test_what_somebody_deleted_stays_away(db: Any) -> None:
    await add(db, recent(), message())
    await backfill(db)
    await db.execute("delete from media")

    assert counts(await backfill(db)) == {"deleted": 2}
    assert await db.fetchval("select count(*) from media") == 0


async def test_what_whatsapp_keeps_no_longer_fails_unasked(db: Any) -> None:
    old, gone = message(), lost()
    await add(db, old, gone)

    assert counts(await backfill(db)) == {"expired": 1, "failed": 1}

    rows = await db.fetch("select failure_code, failure_text, processed from media order by 1")
    assert [row["failure_code"] for row in rows] == ["media_expired", "whatsapp_131052"]
    assert "it keeps media for 7 days" in rows[0]["failure_text"]
    assert await db.fetchval("select count(*) from media_processing_queue") == 0
    assert counts(await backfill(db)) == {}


async def test_each_attachment_is_counted_once(db: Any) -> None:
    """A hash of no use is left out, and an error that took no file is no attachment."""
    unsupported = {**recent("text"), "type": "unsupported", "errors": [{"code": 131051}]}
    malformed: list[dict[str, Any]] = [recent(image={"id": ""}), message(image={"id": ""})]
    await add(
        db, recent(image=media(sha256="none")), message(image=media(sha256="none")), unsupported,
        *malformed,
    )  # fmt: skip
    found = {"queued": 1, "expired": 1, "unusable": len(malformed)}

    assert counts(await backfill(db)) == found

    assert await db.fetchval("select count(*) from media") == 2
    assert counts(await backfill(db)) == {"unusable": len(malformed)}


async def test_what_a_table_refuses_is_unusable_however_old(db: Any) -> None:
    await add(db, recent(), message())
    await db.execute("alter table media add column bots text not null")

    assert counts(await backfill(db)) == {"unusable": 2}


async def test_old_media_whose_content_is_stored_is_linked(db: Any) -> None:
    content = f"{time.time()}"
    await store(db, sha256(content.encode()), media_type="image")
    await add(db, message(image=media(sha256=base64_hash(content))))

    assert counts(await backfill(db)) == {"queued": 1}
    assert await db.fetchval("select bool_and(processed) from media")


async def test_since_is_about_the_time_of_the_message(db: Any) -> None:
    await add(db, recent(), message())
    answer = await db.fetchrow("select * from queue_missing_media(now() - interval '1 day')")
    assert counts(dict(answer)) == {"queued": 1}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "[]",
        "5",
        '"image"',
        '{"image": 5}',
        '{"image": {}}',
        '{"image": {"id": ""}}',
        "{}",
        '"{"',
        '"5"',
        '{"entry": 5}',
        '{"value": []}',
        '{"messages": [null, 1]}',
    ],
)
async def test_payloads_of_no_use_are_passed_over(db: Any, payload: str | None) -> None:
    await db.execute(
        "insert into messages (whatsapp_message_id, raw_payload, sent_at) values ('1', $1, now())",
        payload,
    )
    await add(db, recent())

    answer = await backfill(db)

    assert answer["queued"] == 1
    assert answer["is_finished"]


async def test_a_message_without_whatsapps_id_is_passed_over(db: Any) -> None:
    await db.execute(
        "insert into messages (raw_payload, sent_at) values ($1, now())", json.dumps(recent())
    )
    assert counts(await backfill(db)) == {}


async def test_bots_own_json_column_with_what_jsonb_cannot_hold(db: Any) -> None:
    await db.execute("alter table messages alter column raw_payload type json")
    await db.execute(
        "insert into messages (whatsapp_message_id, raw_payload, sent_at)"
        r""" values ('1', '{"type": "image", "image": {"id": "7", "caption": "\u0000"}}', now())"""
    )
    assert counts(await backfill(db)) == {"queued": 1}


@pytest.mark.parametrize("at_most", [0, -1, 100_001, None])
async def test_a_page_of_no_size_is_refused(db: Any, at_most: int | None) -> None:
    with refused("MD055", f"at_most is {'null' if at_most is None else at_most}, not 1 to 100000"):
        await backfill(db, at_most=at_most)


NUMBER = {"metadata": {"display_phone_number": "4930", "phone_number_id": "815"}}
SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "a value": lambda messages: {"messaging_product": "whatsapp", **NUMBER, "messages": messages},
    "a change": lambda messages: {"field": "messages", "value": {**NUMBER, "messages": messages}},
    "an entry": lambda messages: {"id": "1", "changes": [SHAPES["a change"](messages)]},
    "a call": lambda messages: {
        "object": "whatsapp_business_account", "entry": [SHAPES["an entry"](messages)],
    },
    "echoes": lambda messages: {**NUMBER, "message_echoes": messages},
    "history": lambda messages: {
        **NUMBER, "history": [{"threads": [{"id": "1", "messages": messages}]}],
    },
}  # fmt: skip


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
async def test_what_a_bot_stored_of_the_call(db: Any, shape: str, twice: bool) -> None:
    """The row's own message is found among those that came together; and its number."""
    one, other = recent("video"), recent("document")
    (row,) = await add(db, one, phone_number_id="")
    await db.execute("update messages set phone_number_id = null")
    payload = json.dumps(SHAPES[shape]([recent("text"), other, one]))
    if twice:  # by a client that encodes what is encoded
        payload = json.dumps(payload)
    await db.execute("update messages set raw_payload = $1", payload)

    assert counts(await backfill(db)) == {"queued": 1}

    found = await db.fetchrow("select * from media join media_processing_queue using (id)")
    assert found["whatsapp_media_id"] == one["video"]["id"]
    assert (found["message_id"], found["source"]) == (row, "whatsapp:815")
    assert counts(await backfill(db)) == {}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_call_without_the_message_is_passed_over(db: Any, shape: str) -> None:
    await add(db, recent())
    await db.execute("update messages set raw_payload = $1", json.dumps(SHAPES[shape]([recent()])))

    assert counts(await backfill(db)) == {}


async def test_what_the_gateways_of_whatsapp_web_store_has_no_media_of_the_cloud_api(
    db: Any,
) -> None:
    await add(db, recent())
    sent: dict[str, Any] = {
        "event": "messages.upsert", "instance": "bot",
        "data": {
            "key": {"id": "3EB0", "remoteJid": "4915112345678@s.whatsapp.net"},
            "messageType": "imageMessage",
            "message": {"imageMessage": {"url": "https://mmg.whatsapp.net/x.enc", "mediaKey": "k"}},
        },
    }  # fmt: skip
    await db.execute("update messages set raw_payload = $1", json.dumps(sent))

    assert counts(await backfill(db)) == {}
