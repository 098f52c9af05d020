"""run_media_maintenance: every chore done, bounded, by one at a time."""

from __future__ import annotations

from typing import Any

from tests.conftest import Connect
from tests.helpers import (
    claim,
    everything,
    expire_lease,
    queue_media,
    queue_row,
    sha256,
    store,
)
from tests.sql.maintenance import NOTHING, maintain


async def test_with_nothing_to_do(db: Any) -> None:
    before = await everything(db)

    assert await maintain(db) == NOTHING

    after = await everything(db)
    assert after | {"media_maintenance": before["media_maintenance"]} == before


async def test_every_chore(db: Any) -> None:
    await store(db, sha256(b"x"))
    crashed = await queue_media(db)
    await claim(db)
    await expire_lease(db, crashed)
    await db.execute("select heartbeat_media_poller('gone', '1', 'poll', 0)")
    await db.execute("update media_pollers set seen_at = now() - interval '6 minutes'")
    await db.execute(
        "insert into whatsapp_webhook_events (payload_hash, payload, received_at)"
        " values ('x', '{}', now() - interval '31 days')"
    )
    await db.execute(
        "insert into media_audit_log (media_id, event, at)"
        " overriding system value select gen_random_uuid(), 'old', now() - interval '401 days'"
    )

    done = await maintain(db)

    assert done == NOTHING | {
        "rescued_jobs": 1,
        "folded_deltas": 1,
        "forgotten_pollers": 1,
        "pruned_webhook_events": 1,
        "pruned_audit_events": 1,
    }
    assert (await queue_row(db, crashed))["status"] == "pending"


async def test_one_at_a_time_and_not_too_often(db: Any, connect: Connect) -> None:
    other = await connect("media_poller")
    async with db.transaction():
        assert await maintain(db) == NOTHING
        assert await maintain(other) == {"skipped": "another one is at it"}

    assert (
        "it ran at"
        in (await maintain(other, "run_media_maintenance(unless_within => '50 seconds')"))[
            "skipped"
        ]
    )
    await db.execute("update media_maintenance set ran_at = now() - interval '51 seconds'")
    assert await maintain(other, "run_media_maintenance('50 seconds')") == NOTHING


async def test_a_step_that_fails_takes_no_other_with_it(db: Any) -> None:
    await store(db, sha256(b"x"))
    await db.execute(
        "create function broken() returns trigger language plpgsql as"
        " 'begin raise exception ''no''; end';"
        "create trigger broken before delete on whatsapp_webhook_events"
        " for each row execute function broken()"
    )
    await db.execute(
        "insert into whatsapp_webhook_events (payload_hash, payload, received_at)"
        " values ('x', '{}', now() - interval '31 days')"
    )

    done = await maintain(db)

    assert done["errors"] == {"pruned_webhook_events": "P0001: no"}
    assert done["folded_deltas"] == 1
    assert "pruned_webhook_events" not in done
