"""Calls that come again, in whole or in part."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.conftest import Connect
from tests.helpers import blocked, events
from tests.webhook.calls import media_of, receive
from tests.webhook.payloads import (
    call,
    change,
    hex_hash,
    history,
    lost,
    media,
    message,
    received,
)


async def rows(db: Any) -> dict[str, list[Any]]:
    """Everything a call can change."""
    tables = (
        "messages", "media", "media_processing_queue", "media_audit_log",
        "media_analytics_deltas", "whatsapp_webhook_events",
    )  # fmt: skip
    return {table: await db.fetch(f"select t::text from {table} t order by 1") for table in tables}


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


async def test_the_event_of_two_equal_calls_is_kept_once(db: Any) -> None:
    body = json.dumps(received(message()))
    await receive(db, body)
    await receive(db, body + " ")

    kept = await db.fetch("select payload::text from whatsapp_webhook_events order by id")
    assert [row[0] for row in kept] == [body, body + " "]


async def test_the_same_content_twice_in_one_call_is_fetched_once(db: Any) -> None:
    one = message(image=media(sha256=hex_hash("same")))
    other = message(image=media(sha256=hex_hash("same")))

    await receive(db, received(one, other))

    (first,), (second,) = await media_of(db, one), await media_of(db, other)
    assert sorted([first["status"], second["status"]]) == ["pending", "waiting"]
    assert {first["waiting_for"], second["waiting_for"]} <= {None, first["id"], second["id"]}
    waiting = first if first["status"] == "waiting" else second
    assert await events(db, waiting["id"]) == ["queued", "joined"]


async def test_the_summary_is_kept_when_something_was_added(db: Any) -> None:
    one = message()
    payload = received(one)
    kept = "select summary, processed_at from whatsapp_webhook_events"
    first = await receive(db, payload)
    before = await db.fetchrow(kept)
    assert json.loads(before["summary"]) == first

    assert (await receive(db, payload))["duplicates"] == 1
    assert await db.fetchrow(kept) == before

    await db.execute("delete from messages")
    await db.execute("update whatsapp_webhook_events set processed_at = null")
    again = await receive(db, payload)
    after = await db.fetchrow(kept)
    assert (json.loads(after["summary"]), after["processed_at"] is None) == (again, False)


async def test_the_summary_of_a_repeat_that_only_adds_media_is_kept(db: Any) -> None:
    payload = received(message(), lost())
    await receive(db, payload)
    for gone in ("queued", "failed"):
        await db.execute(
            "delete from media where (failure_code is not null) = ($1 = 'failed')", gone
        )
        await db.execute("truncate media_tombstones")
        again = await receive(db, payload)
        assert again[f"media_{gone}"] == 1
        kept = await db.fetchval("select summary from whatsapp_webhook_events")
        assert json.loads(kept) == again


WAIT_AFTER_THE_INSERT = """
    create function wait_after() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(1);
        return null;
    end $$;
    create trigger wait_after after insert on whatsapp_webhook_events
        execute function wait_after();
"""


async def test_an_event_that_is_pruned_while_its_repeat_comes_in_is_new_again(
    db: Any, connect: Connect
) -> None:
    payload, other = received(message()), await connect()
    event_id = (await receive(db, payload))["event_id"]
    await db.execute(WAIT_AFTER_THE_INSERT)
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(1)")
        repeat = asyncio.create_task(receive(other, payload))
        await blocked(await connect(), other)  # it has met the event, and not read it yet
        await db.execute("delete from whatsapp_webhook_events")

    summary = await repeat

    assert summary["event_id"] > event_id
    assert summary["duplicates"] == 1
    assert await db.fetchval("select id from whatsapp_webhook_events") == summary["event_id"]
