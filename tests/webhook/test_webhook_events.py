"""Stored webhook calls: run again, and forgotten in time."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect
from tests.webhook.calls import receive
from tests.webhook.payloads import message, received


async def add_event(db: Any, age: str) -> int:
    summary = await receive(db, received(message()))
    await db.execute(
        "update whatsapp_webhook_events set received_at = now() - $1::text::interval where id = $2",
        age, summary["event_id"],
    )  # fmt: skip
    return summary["event_id"]


async def test_a_replay_brings_back_what_was_deleted(db: Any, connect: Connect) -> None:
    summary = await receive(db, received(message(), message("text")))
    await db.execute("delete from messages")
    admin = await connect("media_admin")

    replayed = await admin.fetchval("select replay_whatsapp_webhook($1)", summary["event_id"])

    assert json.loads(replayed) == summary
    assert await db.fetchval("select count(*) from media_processing_queue") == 1
    again = await admin.fetchval("select replay_whatsapp_webhook($1)", summary["event_id"])
    assert (json.loads(again)["new"], json.loads(again)["media_queued"]) == (0, 0)
    kept = await db.fetchval("select summary from whatsapp_webhook_events")
    assert json.loads(kept) == summary


async def test_an_unknown_event_is_refused(db: Any) -> None:
    for event_id in (404, None):
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await db.execute("select replay_whatsapp_webhook($1)", event_id)
        assert refusal.value.sqlstate == "MD051"


async def test_events_are_forgotten_after_thirty_days(db: Any) -> None:
    young, _ = await add_event(db, "29 days"), await add_event(db, "31 days")

    assert await db.fetchval("select prune_whatsapp_webhooks()") == 1

    assert [row["id"] for row in await db.fetch("select id from whatsapp_webhook_events")] == [
        young
    ]
    assert await db.fetchval("select count(*) from messages") == 2


async def test_how_long_they_are_kept_is_a_setting(db: Any) -> None:
    await add_event(db, "29 days")
    await db.execute("update media_settings set webhook_events_kept = '7 days'")

    assert await db.fetchval("select prune_whatsapp_webhooks()") == 1


async def test_pruning_is_bounded(db: Any) -> None:
    for _ in range(3):
        await add_event(db, "31 days")

    assert await db.fetchval("select prune_whatsapp_webhooks(2)") == 2
    assert await db.fetchval("select prune_whatsapp_webhooks(2)") == 1


async def test_pruning_waits_for_nobody(db: Any, connect: Connect) -> None:
    held, _ = await add_event(db, "31 days"), await add_event(db, "31 days")
    other = await connect()
    async with other.transaction():
        await other.execute("select from whatsapp_webhook_events where id = $1 for update", held)

        assert await db.fetchval("select prune_whatsapp_webhooks()") == 1

    assert await db.fetchval("select id from whatsapp_webhook_events") == held


async def test_one_maintenance_removes_what_a_busy_minute_brought(db: Any) -> None:
    await db.execute(
        "insert into whatsapp_webhook_events (payload_hash, payload, received_at)"
        " select i::text, '{}', now() - interval '31 days' from generate_series(1, 3500) i"
    )

    ran = json.loads(await db.fetchval("select run_media_maintenance()"))

    assert ran["pruned_webhook_events"] == 3500


async def test_a_repeat_keeps_its_event_from_being_pruned(db: Any, connect: Connect) -> None:
    payload, other = received(message()), await connect()
    event_id = (await receive(db, payload))["event_id"]
    await db.execute("update whatsapp_webhook_events set received_at = now() - interval '1 year'")
    async with other.transaction():
        assert (await receive(other, payload))["event_id"] == event_id
        assert await db.fetchval("select prune_whatsapp_webhooks()") == 0

    assert await db.fetchval("select prune_whatsapp_webhooks()") == 1
    again = await receive(db, payload)
    assert again["event_id"] > event_id
    assert (again["duplicates"], again["media_queued"]) == (1, 0)


async def test_pruning_looks_at_an_index(db: Any) -> None:
    await db.execute(
        "insert into whatsapp_webhook_events (payload_hash, payload)"
        " select i::text, '{}' from generate_series(1, 5000) i"
    )
    await db.execute("analyze whatsapp_webhook_events")
    plan = await db.fetch(
        "explain select id from whatsapp_webhook_events"
        " where received_at < now() - interval '30 days' order by received_at limit 1000"
    )

    assert "whatsapp_webhook_events_received_idx" in "".join(row[0] for row in plan)
