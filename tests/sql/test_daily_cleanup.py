"""The daily cleanup that maintenance runs, and its schedule without pg_cron."""

from __future__ import annotations

from typing import Any

from tests.helpers import (
    add_message,
    media_row,
    queue_media,
    refused,
)
from tests.sql.maintenance import maintain, set_clean_up


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
    with refused("MD022", "cleanup_at is 24:00:00"):
        await db.execute("select schedule_media_maintenance(90, '24:00')")


async def test_what_bots_inserted_before_has_an_age(db: Any) -> None:
    message = await add_message(db)
    await db.execute("insert into media (message_id, whatsapp_media_id) values ($1, 'a')", message)

    await db.execute("select queue_media_processing($1, 'a')", message)

    assert await db.fetchval("select message_sent_at is not null from media")


async def test_a_cleanup_goes_on_past_midnight(db: Any) -> None:
    await queue_media(db)
    await db.execute("update media set message_sent_at = now() - interval '40 days'")
    await set_clean_up(db, "((now() at time zone 'utc') + interval '1 minute')::time")
    await db.execute(
        "update media_maintenance"
        " set cleaned_on = (now() at time zone 'utc' - interval '2 days')::date"
    )

    assert (await maintain(db))["cleaned_media"] == 1  # what began a day ago, less a minute
