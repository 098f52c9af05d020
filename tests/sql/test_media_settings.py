"""The settings in the database: listed, changed, refused, and in the audit trail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import (
    everything,
    media_row,
    refused,
    sha256,
    store,
)


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


async def test_a_time_is_what_it_compares_as(db: Any) -> None:
    """Months back and more days forward compare as an hour, and may lie in the future."""
    rows = await db.fetch(
        "select attname from pg_attribute where attrelid = 'media_settings'::regclass"
        " and atttypid = 'interval'::regtype"
    )
    assert len(rows) > 9
    for (name,) in rows:
        for value in ("-1200 mons 36001 days", "-1 mon 30 days 1 hour", "1 day -10 min"):
            with refused("MD023", f"setting {name} cannot be"):
                await set_setting(db, name, value)


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
        ("project_url", "https://user:word@a.supabase.co", "project_url"),
        ("object_cache_control", "max-age=1\r\nX: 1", "object_cache_control"),
        ("object_cache_control", "", "object_cache_control"),
        ("waiting_recheck", "2 days", "'2 days'"),
        ("backoff_first", "101 years", "'101 years'"),
        ("backoff_most", "101 years", "'101 years'"),
        ("pause_most", "101 years", "'101 years'"),
        ("webhook_events_kept", "101 years", "'101 years'"),
        ("reconcile_min_age", "101 years", "'101 years'"),
        ("wrong_files_kept", "101 years", "'101 years'"),
        ("whatsapp_keeps", "101 years", "'101 years'"),
    ],
)
async def test_a_setting_that_cannot_be_is_refused(
    db: Any, name: str | None, value: str, words: str
) -> None:
    before = await everything(db)

    with refused("MD023", words):
        await set_setting(db, name, value)

    assert await everything(db) == before
