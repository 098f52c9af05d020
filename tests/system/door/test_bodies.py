"""Bodies that PostgREST takes to the byte, and those that it keeps to itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.system.door.conftest import open_door, refusals
from tests.webhook.conftest import Meta
from tests.webhook.payloads import message, received


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(received(message())).encode(),
        json.dumps(received(message()), indent=3).replace("/", "\\/").encode() + b"\n\n",
        b'{"entry": [], "entry": [], "a": "\\u00fc\\u0000/@"}',
        '{"entry": "ü😀"}'.encode(),
        b'{"entry": "' + b"x" * 3_000_000 + b'"}',
    ],
)
async def test_a_signed_call_is_stored_to_the_byte(
    db: Any, admin: Any, meta: Meta, body: bytes
) -> None:
    await open_door(admin)

    answer = await meta.post(body)

    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"event_id"}
    assert answer.json()["event_id"] > 0
    kept = await db.fetchval("select payload::text from whatsapp_webhook_events")
    assert kept.encode() == body


async def test_a_call_that_is_too_large_is_refused_and_counted(
    db: Any, admin: Any, meta: Meta
) -> None:
    await open_door(admin)
    largest = b'{"entry": "' + b"x" * (3 * 1024 * 1024 - 13) + b'"}'

    assert (await meta.post(largest)).status_code == 200
    assert (await meta.post(largest + b" ")).status_code == 413
    assert await refusals(db) == {"too_large": 1}

    await db.execute("update media_settings set webhook_max_bytes = 100")
    assert (await meta.post(b" " * 99 + b"{}")).status_code == 413
    assert (await meta.post(b" " * 98 + b"{}")).status_code == 200
    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 2


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", 413)]
)
async def test_what_postgres_cannot_read_never_reaches_the_function(
    db: Any, admin: Any, meta: Meta, body: bytes, status: int
) -> None:
    await open_door(admin)

    assert (await meta.post(body)).status_code == status
    assert await refusals(db) == {}


@pytest.mark.parametrize(
    "body",
    [
        rb'{"a": "\udc00"}',
        rb'{"a": "\ud83d"}',
        b'[{"a": 1}, {"b": 2}]',
        b"[5]",
        b"[[]]",
        b"",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_what_postgrest_refuses_itself(db: Any, admin: Any, meta: Meta, body: bytes) -> None:
    """Although most of it is JSON: PostgREST reads a body before it hands it on."""
    await open_door(admin)

    assert (await meta.post(body)).status_code == 400

    assert await refusals(db) == {}
    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 0


@pytest.mark.parametrize("body", [b"5", b'"text"', b"null", b"true"])
async def test_a_scalar_does_not_reach_the_function_as_it_came(
    db: Any, admin: Any, meta: Meta, body: bytes
) -> None:
    await open_door(admin)

    assert (await meta.post(body)).status_code == 403

    assert await refusals(db) == {"bad_signature": 1}
    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 0


@pytest.mark.parametrize("body", [b"[]", b"{}", b'[{"a": 1}, {"a": 2}]', rb'{"a": "\u0000"}'])
async def test_a_call_that_is_empty_or_odd_is_kept(
    db: Any, admin: Any, meta: Meta, body: bytes
) -> None:
    await open_door(admin)

    assert (await meta.post(body)).status_code == 200

    summary = json.loads(await db.fetchval("select summary from whatsapp_webhook_events"))
    assert summary["errors"] == {"no_changes": 1}
