"""Counts of calls that were refused: which reasons there are, and how long they are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import refused

REASONS = ["bad_signature", "not_json", "other", "too_deep", "too_large"]


async def counted(db: Any) -> dict[str, int]:
    rows = await db.fetch("select reason, refusals from whatsapp_webhook_refusals")
    return {row["reason"]: row["refusals"] for row in rows}


async def test_refusals_are_counted_by_reason(db: Any, connect: Connect) -> None:
    client = await connect("media_client")
    for reason in [*REASONS, "not_json"]:
        await client.execute("select count_webhook_refusal($1)", reason)

    assert await counted(db) == dict.fromkeys(REASONS, 1) | {"not_json": 2}


@pytest.mark.parametrize("reason", ["NOT_JSON", "", "x" * 10_000, None])
async def test_other_reasons_are_refused(db: Any, reason: str | None) -> None:
    with refused("MD054", "unknown reason"):
        await db.execute("select count_webhook_refusal($1)", reason)
    with refused("23502" if reason is None else "23514"):
        await db.execute("insert into whatsapp_webhook_refusals values ('today', $1, 1)", reason)

    assert await counted(db) == {}


async def test_counting_gives_up_at_a_lock(db: Any, connect: Connect) -> None:
    other = await connect()
    await other.execute("set lock_timeout = 0")
    async with db.transaction():
        await db.execute("select count_webhook_refusal('not_json')")
        with refused("55P03"):
            await other.execute("select count_webhook_refusal('not_json')", timeout=60)
        await other.execute("select count_webhook_refusal('too_deep')")

    assert await counted(db) == {"not_json": 1, "too_deep": 1}


async def test_they_are_kept_as_long_as_the_audit_trail(db: Any) -> None:
    await db.execute("""
        insert into whatsapp_webhook_refusals
        select (now() at time zone 'utc')::date - days, 'not_json', days
        from unnest(array[0, 399, 400, 401, 1000]) days
    """)

    ran = json.loads(await db.fetchval("select run_media_maintenance()"))

    assert ran["pruned_webhook_refusals"] == 2
    await db.execute("select set_media_setting('audit_kept', '30 days')")
    assert (
        json.loads(await db.fetchval("select run_media_maintenance()"))["pruned_webhook_refusals"]
        == 2
    )
    assert await db.fetch("select refusals from whatsapp_webhook_refusals") == [(0,)]
