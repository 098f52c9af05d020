"""Calls and parts of calls that cannot be used, or hardly: nothing escapes, all is counted."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.webhook.calls import receive
from tests.webhook.payloads import (
    Json,
    base64_hash,
    call,
    change,
    hex_hash,
    media,
    message,
    received,
    value,
)


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


async def test_an_endless_phone_number_id_loses_nothing(db: Any) -> None:
    call = received(message())
    call["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "9" * 10_000

    summary = await receive(db, call)

    assert summary["media_queued"] == 1
    assert await db.fetchval("select phone_number_id from messages") is None


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


async def test_an_endless_name_of_a_field_is_cut(db: Any) -> None:
    fields: list[Json] = [{"field": "f" * 10_000 + end, "value": {}} for end in "ab"]

    summary = await receive(db, call(*fields))

    assert summary["ignored"] == {"f" * 100: 2}
