"""From a webhook call to rows: every shape that is what Meta sends."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect
from tests.helpers import events, eventually
from tests.webhook.calls import media_of, receive
from tests.webhook.payloads import (
    PHONE_NUMBER_ID,
    SENDER,
    Json,
    call,
    change,
    echoed,
    edit,
    hex_hash,
    history,
    media,
    message,
    received,
    status,
)


async def test_a_message_is_stored_and_its_media_queued(db: Any) -> None:
    one = message("document")

    summary = await receive(db, received(one))

    assert summary | {"event_id": 0} == {
        "event_id": 0, "messages": 1, "new": 1, "duplicates": 0,
        "media_queued": 1, "media_failed": 0, "media_deleted": 0,
        "ignored": {}, "errors": {},
    }  # fmt: skip
    stored = await db.fetchrow("select * from messages")
    assert stored["whatsapp_message_id"] == one["id"]
    assert stored["phone_number_id"] == PHONE_NUMBER_ID
    assert stored["sender"] == SENDER
    assert stored["message_type"] == "document"
    assert stored["sent_at"].timestamp() == 1732000000
    assert json.loads(stored["raw_payload"]) == one
    (row,) = await media_of(db, one)
    assert row["whatsapp_media_id"] == one["document"]["id"]
    assert row["media_type"] == "document"
    assert row["mime_type"] == "application/pdf"
    assert row["file_name"] == "Ünits/Q3.pdf"
    assert row["caption"] == "the figures"
    assert row["whatsapp_sha256"] == hex_hash(one["document"]["id"])
    assert row["status"] == "pending"
    assert row["source"] == f"whatsapp:{PHONE_NUMBER_ID}"
    assert await events(db, row["id"]) == ["queued"]


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("image", "image/jpeg"),
        ("video", "video/mp4"),
        ("audio", "audio/ogg"),
        ("document", "application/pdf"),
        ("sticker", "image/webp"),
    ],
)
@pytest.mark.parametrize("way", [received, echoed, history])
async def test_every_kind_of_media_on_every_way(
    db: Any, way: Any, kind: str, mime_type: str
) -> None:
    one = message(kind)

    summary = await receive(db, way(one))

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (1, 1, {})
    (row,) = await media_of(db, one)
    assert (row["media_type"], row["mime_type"]) == (kind, mime_type)


async def test_voice_is_audio(db: Any) -> None:
    one = message("voice", voice=media("audio"))
    await receive(db, received(one))

    assert [row["media_type"] for row in await media_of(db, one)] == ["audio"]


async def test_media_inside_an_edit(db: Any) -> None:
    original = message("text")
    one = edit(original["id"], {"type": "image", "image": media(caption="corrected")})

    summary = await receive(db, received(original, one))

    assert (summary["new"], summary["media_queued"]) == (2, 1)
    assert [row["caption"] for row in await media_of(db, one)] == ["corrected"]


async def test_every_entry_change_and_message_is_taken(db: Any) -> None:
    first = call(change(messages=[message(), message()]), change(messages=[message()]))
    second = received(message("audio"))
    first["entry"] += second["entry"]

    summary = await receive(db, first)

    assert (summary["messages"], summary["new"], summary["media_queued"]) == (4, 4, 4)
    assert await db.fetchval("select count(*) from media_processing_queue") == 4


async def test_the_thread_names_the_sender_of_old_messages(db: Any) -> None:
    await receive(db, history(message("text", **{"from": None})))

    assert await db.fetchval("select sender from messages") == "4915112345000"


@pytest.mark.parametrize(
    ("sender", "contacts", "expected"),
    [
        ({"from_user_id": "DE.123"}, [], "DE.123"),
        ({}, [{"user_id": "DE.123"}], "DE.123"),
        ({}, [{"wa_id": "49151", "user_id": "DE.123"}], "49151"),
        ({"from": "49151", "from_user_id": "DE.123"}, [], "49151"),
        ({"from": "", "from_user_id": "DE.123"}, [], "DE.123"),
        ({"from": "", "from_user_id": ""}, [{"wa_id": "", "user_id": "DE.123"}], "DE.123"),
        ({"from": ""}, [{"wa_id": ""}], None),
        ({}, [{"user_id": "DE.123"}, {"user_id": "DE.456"}], None),
    ],
)
async def test_senders_without_a_number(
    db: Any, sender: Json, contacts: list[Json], expected: str | None
) -> None:
    one = message("text", **{"from": None, **sender})

    await receive(db, call(change(contacts=contacts, messages=[one])))

    assert await db.fetchval("select sender from messages") == expected


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("hello", message("text")),
        ("yes", message("button", button={"payload": "YES", "text": "yes"})),
        ("a", message("interactive", interactive={"button_reply": {"id": "1", "title": "a"}})),
        ("b", message("interactive", interactive={"list_reply": {"id": "1", "title": "b"}})),
        ("c", edit("wamid.1", {"type": "text", "text": {"body": "c"}})),
    ],
)
async def test_texts(db: Any, text: str, one: Json) -> None:
    await receive(db, received(one))

    assert await db.fetchval("select text_body from messages") == text


@pytest.mark.parametrize(
    "one",
    [
        message("reaction", reaction={"message_id": "wamid.1", "emoji": "👍"}),
        message("reaction", reaction={"message_id": "wamid.1", "emoji": ""}),
        message("reaction", reaction={"message_id": "wamid.1"}),
        message("revoke", revoke={"original_message_id": "wamid.1"}),
        message("text", errors=None),
        message("location", location={"latitude": 1.5, "longitude": 2}),
        message("contacts", contacts=[{"name": {"formatted_name": "Bo"}}]),
        message("system", system={"body": "changed number"}, timestamp=1669233778),
        message("something_new", something_new={"id": "1"}),
        message("text", type=None),
    ],
)
async def test_messages_without_media_are_only_stored(db: Any, one: Json) -> None:
    summary = await receive(db, received(one))

    assert (summary["new"], summary["errors"]) == (1, {})
    assert await db.fetchval("select count(*) from media") == 0


async def test_what_is_no_message_is_counted(db: Any) -> None:
    payload = call(
        change(statuses=[status(), status("read"), status("played"), status("deleted")]),
        change(errors=[{"code": 130429, "title": "Rate limit hit"}]),
        change("history", history=[{"errors": [{"code": 2593109, "title": "not shared"}]}]),
        {"field": "account_update", "value": {"event": "DISABLED_UPDATE"}},
        {"value": {"event": "X"}},
    )

    summary = await receive(db, payload)

    assert summary["ignored"] == {"statuses": 4, "errors": 2, "account_update": 1, "unnamed": 1}
    assert (summary["messages"], summary["errors"]) == (0, {})


async def test_clients_may_call_it_and_others_may_not(db: Any, connect: Connect) -> None:
    client, poller = await connect("media_client"), await connect("media_poller")

    assert (await receive(client, received(message())))["media_queued"] == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await receive(poller, received(message()))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.fetchval("select count(*) from whatsapp_webhook_events")
    assert await db.fetchval("select count(*) from messages") == 1


async def test_pollers_are_woken_once(db: Any, connect: Connect) -> None:
    heard: list[Any] = []
    listener = await connect()

    def hear(*event: object) -> None:
        heard.append(event)

    await listener.add_listener("pgmedia_wake", hear)

    await receive(db, received(message(), message()))

    await eventually(lambda: heard)
    assert len(heard) == 1
