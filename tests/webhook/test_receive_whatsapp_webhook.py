"""From a webhook call to rows: every shape, repeats, and what cannot be used."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect
from tests.helpers import events, eventually
from tests.webhook.payloads import (
    PHONE_NUMBER_ID,
    SENDER,
    Json,
    base64_hash,
    call,
    change,
    echoed,
    edit,
    hex_hash,
    history,
    lost,
    media,
    message,
    received,
    status,
    value,
)


async def receive(db: Any, payload: object) -> Json:
    """The summary of a call, given as an object or as the body's text."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    return json.loads(await db.fetchval("select receive_whatsapp_webhook($1)", body))


async def media_of(db: Any, one: Json) -> list[Any]:
    """The media rows of a message, with their queue rows."""
    return await db.fetch(
        "select m.*, q.status, q.source, q.source_url, q.waiting_for"
        " from media m join messages s on s.id = m.message_id"
        " left join media_processing_queue q on q.id = m.id"
        " where s.whatsapp_message_id = $1 order by m.whatsapp_media_id",
        one["id"],
    )


async def rows(db: Any) -> dict[str, list[Any]]:
    """Everything a call can change."""
    tables = (
        "messages", "media", "media_processing_queue", "media_audit_log",
        "media_analytics_deltas", "whatsapp_webhook_events",
    )  # fmt: skip
    return {table: await db.fetch(f"select t::text from {table} t order by 1") for table in tables}


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


async def test_a_repeat_changes_nothing(db: Any) -> None:
    payload = received(message(), message("text"), lost())
    first = await receive(db, payload)
    before = await rows(db)

    again = await receive(db, payload)

    assert again["event_id"] == first["event_id"]
    assert (again["new"], again["duplicates"]) == (0, 3)
    assert (again["media_queued"], again["media_failed"]) == (0, 0)
    assert await rows(db) == before


async def test_a_repeat_in_part_adds_what_is_new(db: Any) -> None:
    old, new = message(), message()
    await receive(db, received(old))

    summary = await receive(db, received(new, old, new))

    assert (summary["messages"], summary["new"], summary["duplicates"]) == (3, 1, 2)
    assert summary["media_queued"] == 1
    assert len(await media_of(db, old)) == len(await media_of(db, new)) == 1


async def test_history_brings_the_media_after_its_placeholder(db: Any) -> None:
    placeholder = message("media_placeholder")
    assert (await receive(db, history(placeholder)))["media_queued"] == 0
    real = message("image", id=placeholder["id"])

    summary = await receive(db, call(change("history", messages=[real])))

    assert (summary["new"], summary["duplicates"], summary["media_queued"]) == (0, 1, 1)
    assert await db.fetchval("select message_type from messages") == "image"
    assert len(await media_of(db, real)) == 1


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
    ("timestamp", "seconds", "errors"),
    [
        ("1732000000", 1732000000, {}),
        (1732000000, 1732000000, {}),
        (None, None, {}),
        ("yesterday", None, {"timestamp_unusable": 1}),
        ("9" * 400, None, {"timestamp_unusable": 1}),
        ({"at": 1}, None, {"timestamp_unusable": 1}),
    ],
)
async def test_timestamps(db: Any, timestamp: object, seconds: int | None, errors: Json) -> None:
    summary = await receive(db, received(message("text", timestamp=timestamp)))

    assert summary["errors"] == errors
    sent_at = await db.fetchval("select sent_at from messages")
    assert (sent_at and sent_at.timestamp()) == seconds


@pytest.mark.parametrize(
    ("given", "kept", "errors"),
    [
        (base64_hash("a"), hex_hash("a"), {}),
        (hex_hash("a"), hex_hash("a"), {}),
        (hex_hash("a").upper(), hex_hash("a"), {}),
        ("IMAGE_HASH", None, {"hash_unusable": 1}),
        (12, None, {"hash_unusable": 1}),
        (None, None, {}),
    ],
)
async def test_hashes(db: Any, given: object, kept: str | None, errors: Json) -> None:
    summary = await receive(db, received(message(image=media(sha256=given))))

    assert summary["errors"] == errors
    assert await db.fetchval("select whatsapp_sha256 from media") == kept


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


async def test_the_same_content_twice_in_one_call_is_fetched_once(db: Any) -> None:
    one = message(image=media(sha256=hex_hash("same")))
    other = message(image=media(sha256=hex_hash("same")))

    await receive(db, received(one, other))

    (first,), (second,) = await media_of(db, one), await media_of(db, other)
    assert sorted([first["status"], second["status"]]) == ["pending", "waiting"]
    assert {first["waiting_for"], second["waiting_for"]} <= {None, first["id"], second["id"]}
    waiting = first if first["status"] == "waiting" else second
    assert await events(db, waiting["id"]) == ["queued", "joined"]


@pytest.mark.parametrize(
    ("payload", "errors"),
    [
        ("5", {"not_an_object": 1}),
        ('"text"', {"not_an_object": 1}),
        ("null", {"not_an_object": 1}),
        ("true", {"not_an_object": 1}),
        ("[]", {"no_changes": 1}),
        ("{}", {"no_changes": 1}),
        ('{"entry": null}', {"no_changes": 1}),
        ('{"entry": [5, [], {"changes": []}]}', {"no_changes": 1}),
        (call({"field": "messages"}), {"change_without_value": 1}),
        ('{"entry": [{"changes": [3]}]}', {"change_not_an_object": 1}),
        (received("a", 3, [], None), {"message_not_an_object": 4}),  # pyright: ignore[reportArgumentType]
        (received(message(id=None), message(id=" ")), {"message_without_id": 2}),
        (received(message(id={"a": 1}), message(id=[])), {"message_without_id": 2}),
        (received(message(id="x" * 10_000)), {"message_id_too_long": 1}),
        (received(message(image="pic"), message(image=[None])), {"media_not_an_object": 2}),
        (received(message(image={}), message(image=media(id=""))), {"media_without_id": 2}),
        (received(message(image=media(id="9" * 10_000))), {"media_id_too_long": 1}),
        ('{"entry": ' + "[" * 3000 + "]" * 3000 + "}", {"no_changes": 1}),
        ('{"n": 1e999999}', {"unreadable": 1}),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_counted_and_kept(
    db: Any, payload: str | Json, errors: Json
) -> None:
    summary = await receive(db, payload)

    assert summary["errors"] == errors
    assert (summary["media_queued"], summary["media_failed"]) == (0, 0)
    body = payload if isinstance(payload, str) else json.dumps(payload)
    event = await db.fetchrow("select payload::text, summary from whatsapp_webhook_events")
    assert event["payload"] == body
    assert json.loads(event["summary"]) == summary


async def test_objects_where_lists_are_expected(db: Any) -> None:
    one = message()
    payload = {"entry": {"changes": {"field": "messages", "value": value(messages=one)}}}

    summary = await receive(db, payload)

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (1, 1, {})


@pytest.mark.parametrize(
    ("escapes", "kept"),
    [
        (r"a\u0000b", "a\ufffdb"),
        (r"\u0000\u0000", "\ufffd\ufffd"),
        (r"\ud83d", "\ufffd"),
        (r"\ude00\ud83d\ude00\ud83d\ud83d\ude00", "\ufffd😀\ufffd😀"),
        (r"\\u0000\u0000", "\\u0000\ufffd"),
        (r"\\\u0000 \"\\\"", '\\\ufffd "\\"'),
        (r"\\ud83d\ude00", "\\ud83d\ufffd"),
    ],
)
async def test_characters_that_jsonb_lacks(db: Any, escapes: str, kept: str) -> None:
    one = message(image=media(caption="CAPTION"))

    summary = await receive(db, json.dumps(received(one)).replace("CAPTION", escapes))

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (1, 1, {})
    assert await db.fetchval("select caption from media") == kept


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ('{"a": "%s"}' % (r"\udc00" * 200_000), {"no_changes": 1}),
        ('{"a": "%s"}' % (r"\ud83d" * 200_000), {"no_changes": 1}),
        (json.dumps(received(*[5] * 1_000_000)), {"message_not_an_object": 1_000_000}),  # pyright: ignore[reportArgumentType]
        (json.dumps(call(change(statuses=[5] * 1_000_000))), {}),
    ],
    ids=["low surrogates", "high surrogates", "messages", "statuses"],
)  # fmt: skip
async def test_a_call_full_of_one_thing_takes_no_quadratic_time(
    db: Any, body: str, errors: Json
) -> None:
    """Quadratic, each of these takes minutes; the limit is no measure, but the end of a hang."""
    await db.execute("set statement_timeout = '30s'")

    assert (await receive(db, body))["errors"] == errors


async def test_a_thousand_messages_in_one_call(db: Any) -> None:
    messages = [message() for _ in range(1000)]

    summary = await receive(db, received(*messages))

    assert (summary["new"], summary["media_queued"]) == (1000, 1000)
    assert (await receive(db, received(*reversed(messages))))["duplicates"] == 1000


async def test_null_is_refused(db: Any) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await db.fetchval("select receive_whatsapp_webhook(null)")

    assert refusal.value.sqlstate == "MD050"


async def test_a_body_that_is_not_json_stores_nothing(db: Any) -> None:
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await receive(db, "{not json")

    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 0


async def test_the_event_of_two_equal_calls_is_kept_once(db: Any) -> None:
    body = json.dumps(received(message()))
    await receive(db, body)
    await receive(db, body + " ")

    kept = await db.fetch("select payload::text from whatsapp_webhook_events order by id")
    assert [row[0] for row in kept] == [body, body + " "]


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


async def test_an_endless_phone_number_id_loses_nothing(db: Any) -> None:
    call = received(message())
    call["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "9" * 10_000

    summary = await receive(db, call)

    assert summary["media_queued"] == 1
    assert await db.fetchval("select phone_number_id from messages") is None
