"""The door without any Python: calls through a real PostgREST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers import as_user
from tests.system.door.conftest import (
    PASSWORD,
    USER,
    open_door,
)
from tests.system.postgrest import serving
from tests.webhook.conftest import Meta
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN, message, received, signature


async def test_it_is_closed_until_an_operator_opens_it(db: Any, admin: Any, meta: Meta) -> None:
    assert (await meta.post(received(message()))).status_code == 401
    assert (await meta.verify()).status_code == 401

    await open_door(admin)
    assert (await meta.post(received(message()))).status_code == 200
    assert (await meta.verify()).status_code == 200

    await admin.execute("select close_whatsapp_webhook()")
    assert (await meta.post(received(message()))).status_code == 401
    assert (await meta.verify()).status_code == 401
    assert await db.fetchval("select count(*) from media_processing_queue") == 1


async def test_meta_verifies_the_address(admin: Any, meta: Meta) -> None:
    await open_door(admin)

    answer = await meta.verify(challenge="11582 <b>&ü")

    assert (answer.status_code, answer.text) == (200, "11582 <b>&ü")
    assert answer.headers["content-type"].startswith("text/plain")
    as_browser = await meta.verify(accept="text/html,*/*;q=0.8")
    assert (as_browser.status_code, as_browser.text) == (200, "1158201444")
    for refused in (
        await meta.verify(token="other"),
        await meta.verify(token=""),
        await meta.verify(mode="unsubscribe"),
    ):
        assert refused.status_code == 403
        assert VERIFY_TOKEN not in refused.text


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


async def refusals(db: Any) -> dict[str, int]:
    rows = await db.fetch("select reason, refusals from whatsapp_webhook_refusals")
    return {row["reason"]: row["refusals"] for row in rows}


async def test_without_the_signature_nothing_is_done_but_a_count(
    db: Any, admin: Any, meta: Meta
) -> None:
    await open_door(admin)
    body = json.dumps(received(message())).encode()

    bad = [
        await meta.post(body, X_Hub_Signature_256=header)
        for header in ("", "sha256=", signature(body, "other"), signature(body + b" "))
    ]
    bad.append(await meta.http.post(meta.url, json=received(message())))

    assert {answer.status_code for answer in bad} == {403}
    assert APP_SECRET not in "".join(answer.text for answer in bad)
    for table in ("whatsapp_webhook_events", "messages", "media"):
        assert await db.fetchval(f"select count(*) from {table}") == 0
    assert await refusals(db) == {"bad_signature": 5}
    assert "does not fit" in bad[0].text
    assert bad[0].headers["content-type"].startswith("text/plain")


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


async def test_a_refusal_does_not_wait_for_the_disk(db: Any) -> None:
    await db.execute("set synchronous_commit = on")
    async with db.transaction():
        await db.execute("select refuse_webhook_call(403, 'bad_signature', 'no')")
        assert await db.fetchval("show synchronous_commit") == "off"
        assert await db.fetchval("show response.status") == "403"
    assert await db.fetchval("show synchronous_commit") == "on"


async def test_a_call_gives_up_at_a_lock(db: Any, admin: Any, meta: Meta) -> None:
    await open_door(admin)
    async with db.transaction():
        await db.execute("lock table messages")
        answer = await meta.post(received(message()))

    assert answer.status_code >= 500
    assert (await meta.post(received(message()))).status_code == 200


HURRIED = "pgmedia_test_hurried"
CREATE_HURRIED_ROLE = f"""
do $$
begin
    create role {HURRIED} nologin;
exception when duplicate_object or unique_violation then
    null;
end $$;
alter role {HURRIED} set statement_timeout = '500ms';
grant {HURRIED} to {USER};
grant execute on function whatsapp_webhook(json) to {HURRIED};
create function take_long() returns trigger language plpgsql as $$
begin
    perform pg_sleep(1);
    return null;
end $$;
create trigger take_long after insert on messages execute function take_long();
"""


async def test_a_call_may_take_longer_than_its_role_may(
    db: Any, admin: Any, database: str, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """On Supabase the role anon has three seconds, and a large history takes longer."""
    await open_door(admin)
    await db.execute(CREATE_HURRIED_ROLE)
    dsn = as_user(database, USER, PASSWORD)
    async with serving(dsn, tmp_path / "postgrest.log", PGRST_DB_ANON_ROLE=HURRIED) as url:
        answer = await Meta(http, f"{url}/rpc/whatsapp_webhook").post(received(message()))

    assert answer.status_code == 200
    assert await db.fetchval("select count(*) from media_processing_queue") == 1
