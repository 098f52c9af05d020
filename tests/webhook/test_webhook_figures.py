"""What get_media_storage_stats tells of the webhook: refusals and errors, by kind."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tests.conftest import Connect
from tests.webhook.calls import receive
from tests.webhook.payloads import Json, message, received
from tests.webhook.triggers import REFUSE_ONE

MIDNIGHT = "date_trunc('day', now() at time zone 'utc') at time zone 'utc'"


async def figures(db: Any) -> Json:
    return json.loads(await db.fetchval("select get_media_storage_stats()"))["webhook"]


async def test_errors_are_told_by_kind_without_their_words(db: Any, connect: Connect) -> None:
    await db.execute(REFUSE_ONE)
    banned = [message(**{"from": "banned"}) for _ in range(3)]
    await receive(db, received(*banned, message(image=None)))
    await receive(db, received(message(id=None), message(image=None)))
    await receive(db, received(message()))

    found = await figures(await connect("media_client"))

    assert found["calls_with_errors"] == 2
    assert found["errors"] == {"message_refused": 3, "media_missing": 2, "message_without_id": 1}
    assert list(found["errors"]) == ["message_refused", "media_missing", "message_without_id"]
    assert "banned" not in str(found)


async def test_they_reach_back_to_the_beginning_of_yesterday(db: Any) -> None:
    for days, hours in ((-1, 0), (-1, -1), (0, 0)):
        event_id = (await receive(db, received(message(id=None))))["event_id"]
        await db.execute(
            f"update whatsapp_webhook_events set received_at = {MIDNIGHT} + $1 where id = $2",
            timedelta(days=days, hours=hours), event_id,
        )  # fmt: skip
    await db.execute(
        "insert into whatsapp_webhook_refusals"
        " select (now() at time zone 'utc')::date - n, 'too_large', 10 ^ n"
        " from generate_series(0, 2) n"
    )

    found = await figures(db)

    assert found["refusals"] == {"too_large": 11}
    assert (found["calls_with_errors"], found["errors"]) == (2, {"message_without_id": 2})
    assert found["since"] == await db.fetchval(
        f"select to_json({MIDNIGHT} - interval '1 day') #>> '{{}}'"
    )


async def test_they_look_at_the_calls_with_errors_alone(db: Any) -> None:
    """However many calls there are."""
    await db.execute(
        "insert into whatsapp_webhook_events (payload_hash, payload, summary)"
        " select i::text, '{}', case when i % 100 = 0 then json '{\"errors\": {\"a: b\": 1}}'"
        " else json '{\"errors\": {}}' end from generate_series(1, 110000) i"
    )
    await db.execute("vacuum analyze whatsapp_webhook_events")

    assert await figures(db) | {"since": 0, "refusals": {}} == {
        "since": 0, "refusals": {}, "calls_with_errors": 1000, "errors": {"a": 1000},
    }  # fmt: skip
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = 'get_webhook_figures'::regproc"
    )
    plan = await db.fetch("explain " + body)
    assert "whatsapp_webhook_events_errors_idx" in "".join(row[0] for row in plan)
