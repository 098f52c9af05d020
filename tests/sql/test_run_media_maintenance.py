"""run_media_maintenance: every chore done, bounded, by one at a time; and its schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    begin_upload,
    claim,
    events,
    everything,
    expire_lease,
    fail,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
    store,
)

NOTHING = {
    "rescued_jobs": 0,
    "dropped_reservations": 0,
    "folded_deltas": 0,
    "forgotten_pollers": 0,
    "pruned_dead_letters": 0,
    "pruned_webhook_events": 0,
    "pruned_webhook_refusals": 0,
    "pruned_tombstones": 0,
    "pruned_audit_events": 0,
    "pruned_minutes": 0,
    "pruned_cron_runs": 0,
    "cleaned_media": 0,
}


async def maintain(db: Any, call: str = "run_media_maintenance()") -> dict[str, Any]:
    done = json.loads(await db.fetchval(f"select {call}"))
    done.pop("milliseconds", None)
    return done


async def set_clean_up(db: Any, started: str, days: int | None = 30) -> None:
    """A daily cleanup that begins at this time of today (UTC)."""
    await db.execute(f"update media_settings set cleanup_days = $1, cleanup_at = {started}", days)


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
        "pruned_webhook_refusals": 0,
        "pruned_tombstones": 0,
        "pruned_audit_events": 1,
    }
    assert (await queue_row(db, crashed))["status"] == "pending"


async def test_the_trail_is_pruned_only_past_its_time(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("alter table media_audit_log disable trigger refuse_audit_change")
    await db.execute("update media_audit_log set at = now() - interval '401 days'")
    await db.execute("alter table media_audit_log enable trigger refuse_audit_change")
    await db.execute("select cancel_media($1)", media)

    assert (await maintain(db))["pruned_audit_events"] == 1

    assert await events(db, media) == ["cancelled"]
    with refused("MD040", "DELETE"):
        await db.execute("delete from media_audit_log")
    with refused("23514"):
        await db.execute("update media_settings set audit_kept = '1 hour'")


async def test_dead_letters_past_their_time_leave_the_queue(db: Any) -> None:
    old, young = [await queue_media(db) for _ in range(2)]
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="100")
    await db.execute("update media set failed_at = now() - interval '91 days' where id = $1", old)

    assert (await maintain(db))["pruned_dead_letters"] == 1

    assert await queue_row(db, old) is None
    assert (await media_row(db, old))["failure_code"] == "media_expired_or_foreign"
    assert (await status(db, old))["status"] == "failed"
    assert (await queue_row(db, young))["status"] == "failed"
    assert (await events(db, old))[-1] == "dead letter pruned"


async def test_reservations_nobody_leads_are_dropped(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    assert (await maintain(db))["dropped_reservations"] == 0
    await db.execute("delete from media_processing_queue")  # as a restored backup may have it

    assert (await maintain(db))["dropped_reservations"] == 1

    assert await db.fetchval("select count(*) from media_objects") == 0
    path = await db.fetchval("select storage_path from media_deletion_queue")
    assert path == begun["storage_path"]


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


async def test_the_daily_cleanup(db: Any) -> None:
    for _ in range(2):
        await queue_media(db)
    await db.execute("update media set message_sent_at = now() - interval '40 days'")
    assert (await maintain(db))["cleaned_media"] == 0  # not asked for

    await set_clean_up(db, "'00:00'", days=41)
    assert (await maintain(db))["cleaned_media"] == 0
    await set_clean_up(db, "'00:00'")
    assert (await maintain(db))["cleaned_media"] == 0  # today's is done
    await db.execute("update media_maintenance set cleaned_on = cleaned_on - 1")
    await db.execute("update media_maintenance set cleaned_on = cleaned_on + 1")
    await set_clean_up(db, "'23:59:59.999999'")
    assert (await maintain(db))["cleaned_media"] == 0  # not yet
    await db.execute("update media_maintenance set cleaned_on = cleaned_on - 1")
    await set_clean_up(db, "'00:00'")
    assert (await maintain(db))["cleaned_media"] == 2

    assert (await maintain(db))["cleaned_media"] == 0
    assert await db.fetchval("select cleaned_on = (now() at time zone 'utc')::date"
                             " from media_maintenance")  # fmt: skip


async def test_the_daily_cleanup_keeps_what_is_used(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("update media set message_sent_at = now() - interval '40 days'")
    await db.execute("select touch_media($1)", media)
    schedule = "schedule_media_maintenance(30, '00:00', keep_accessed_days => 7)"
    await db.execute(f"select {schedule}")

    assert (await maintain(db))["cleaned_media"] == 0

    assert await media_row(db, media) is not None


async def test_a_schedule_without_pg_cron(db: Any) -> None:
    asked = await maintain(db, "schedule_media_maintenance(90, '04:15')")

    assert asked == {
        "pg_cron": False,
        "runs": "pg_cron is not installed in this database:"
        " the pollers run maintenance, every minute",
        "cleanup_days": 90,
        "cleanup_at": "04:15:00",
        "cleanup_keep_accessed_days": None,
    }
    assert (await maintain(db, "schedule_media_maintenance()"))["cleanup_days"] is None
    await maintain(db, "schedule_media_maintenance(90)")
    assert await db.fetchval("select unschedule_media_maintenance()") is False
    assert await db.fetchval("select cleanup_days from media_settings") is None
    with refused("MD022", "-1"):
        await db.execute("select schedule_media_maintenance(-1)")


async def test_settings_are_listed_with_their_meaning(db: Any) -> None:
    rows = {row["name"]: row for row in await db.fetch("select * from get_media_settings()")}

    assert tuple(rows["lease"])[1:3] == ("00:01:00", "00:01:00")
    assert tuple(rows["cleanup_days"])[1:3] == (None, None)
    assert tuple(rows["cleanup_at"])[1:3] == ("03:30:00", "03:30:00")
    assert rows["object_cache_control"]["default_value"] == "max-age=31536000, immutable"
    assert all(row["meaning"] for row in rows.values())
    assert "only_row" not in rows


async def set_setting(db: Any, name: str | None, value: str | None) -> str | None:
    return await db.fetchval("select set_media_setting($1, $2)", name, value)


async def test_a_setting_is_changed_and_put_back(db: Any) -> None:
    assert await set_setting(db, "lease", "2 minutes") == "00:02:00"
    assert await db.fetchval("select heartbeat_media_poller('a', '1', 'poll', 0)") == 120
    assert await set_setting(db, "lease", None) == "00:01:00"
    assert await set_setting(db, "cleanup_days", "90") == "90"
    assert await set_setting(db, "cleanup_days", None) is None


async def test_the_project_url_rebuilds_what_is_built_from_it(db: Any) -> None:
    media = await store(db, sha256(b"x"))

    assert await set_setting(db, "project_url", "https://a.supabase.co/") == "https://a.supabase.co"

    assert (await media_row(db, media))["public_url"].startswith("https://a.supabase.co/storage/")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("leas", "1 minute", "'leas'"),
        (None, "1", "NULL"),
        ("only_row", "false", "'only_row'"),
        ("ctid", "x", "'ctid'"),
        ("lease; drop table media", "1", "drop table"),
        ("lease", "soon", "'soon'"),
        ("lease", "2 hours", "'2 hours'"),
        ("max_attempts", "99999999", "'99999999'"),
        ("max_attempts", "many", "'many'"),
        ("project_url", "nowhere", "'nowhere'"),
    ],
)
async def test_a_setting_that_cannot_be_is_refused(
    db: Any, name: str | None, value: str, words: str
) -> None:
    before = await everything(db)

    with refused("MD023", words):
        await set_setting(db, name, value)

    assert await everything(db) == before


async def test_what_bots_inserted_before_has_an_age(db: Any) -> None:
    message = await add_message(db)
    await db.execute("insert into media (message_id, whatsapp_media_id) values ($1, 'a')", message)

    await db.execute("select queue_media_processing($1, 'a')", message)

    assert await db.fetchval("select message_sent_at is not null from media")


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


async def test_a_cleanup_goes_on_past_midnight(db: Any) -> None:
    await queue_media(db)
    await db.execute("update media set message_sent_at = now() - interval '40 days'")
    await set_clean_up(db, "((now() at time zone 'utc') + interval '1 minute')::time")
    await db.execute(
        "update media_maintenance"
        " set cleaned_on = (now() at time zone 'utc' - interval '2 days')::date"
    )

    assert (await maintain(db))["cleaned_media"] == 1  # what began a day ago, less a minute
