"""What operators change is in the audit trail: settings, pauses, holds; who, from what, to what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.conftest import OPERATOR_USER, Connect
from tests.helpers import queue_media

NOBODYS = UUID(int=0)


async def told(db: Any, media: UUID = NOBODYS) -> list[tuple[str, dict[str, Any]]]:
    rows = await db.fetch(
        "select event, detail from get_media_audit_trail($1) where event <> 'queued'", media
    )
    return [(row["event"], json.loads(row["detail"])) for row in rows]


async def test_a_changed_setting_names_who_and_both_values(db: Any, operator: str) -> None:
    acting: Any = await asyncpg.connect(operator)
    await acting.execute("select set_media_setting('lease', '2 minutes')")
    await acting.execute("select set_media_setting('lease', '2 minutes')")  # changes nothing
    await acting.execute("select set_media_project_url('https://a.supabase.co')")
    await acting.close()

    assert await told(db) == [
        (
            "setting changed",
            {"name": "lease", "old": "00:01:00", "new": "00:02:00", "by": OPERATOR_USER},
        ),
        (
            "setting changed",
            {"name": "project_url", "new": "https://a.supabase.co", "by": OPERATOR_USER},
        ),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "update media_settings set cleanup_days = 90",
        "select schedule_media_maintenance(90)",
    ],
)
async def test_settings_are_audited_however_they_change(db: Any, statement: str) -> None:
    await db.execute(statement)

    ((event, detail),) = await told(db)

    assert (event, detail["name"], detail["new"]) == ("setting changed", "cleanup_days", 90)
    assert detail["by"] == await db.fetchval("select session_user::text")


async def test_no_secret_is_in_the_trail(db: Any) -> None:
    await db.execute("select set_whatsapp_secrets('a secret of the app', 'a token')")

    trail = await db.fetchval("select coalesce(string_agg(a::text, ''), '') from media_audit_log a")

    assert "secret" not in trail
    assert "token" not in trail


async def test_pauses_and_resumptions(db: Any, connect: Connect) -> None:
    admin = await connect("media_admin")
    first = await admin.fetchval("select pause_media_source('storage', 'moving', '1 minute')")
    second = await admin.fetchval("select pause_media_source('storage', 'moving', '1 hour')")
    assert await admin.fetchval("select resume_media_source('storage')")

    paused, again, resumed = await told(db)

    assert (paused[0], again[0], resumed[0]) == ("source paused", "source paused", "source resumed")
    assert "old" not in paused[1]
    assert datetime.fromisoformat(paused[1]["new"]) == first
    assert datetime.fromisoformat(again[1]["old"]) == first
    assert datetime.fromisoformat(resumed[1]["old"]) == second
    for _, detail in (paused, again, resumed):
        assert (detail["scope"], detail["reason"]) == ("storage", "moving")
        assert detail["by"] == await db.fetchval("select session_user::text")
        assert detail["role"] == "media_admin"


async def test_a_hold_and_its_release_name_who(db: Any, connect: Connect) -> None:
    media = await queue_media(db)
    admin = await connect("media_admin")
    await admin.execute("select hold_media($1, 'case 12')", media)
    await admin.execute("select release_media_hold($1)", media)

    held, released = await told(db, media)

    who = {"by": await db.fetchval("select session_user::text"), "role": "media_admin"}
    assert held == ("held", {"reason": "case 12", **who})
    assert released == ("hold released", {"reason": "case 12", **who})


@pytest.mark.parametrize("role", ["media_client", "media_admin"])
async def test_what_operators_do_is_told_to_operators(db: Any, connect: Connect, role: str) -> None:
    media = await queue_media(db)
    await db.execute("select hold_media($1, 'case 12')", media)
    await db.execute("select release_media_hold($1)", media)
    await db.execute("select set_media_setting('lease', '2 minutes')")
    acting = await connect(role)
    is_operator = role == "media_admin"

    trail = await acting.fetch("select event, detail from get_media_audit_trail($1)", media)
    assert [row["event"] for row in trail] == ["queued", "held", "hold released"]
    assert ["case 12" in (row["detail"] or "") for row in trail[1:]] == [is_operator] * 2
    others = await acting.fetch("select event from get_media_audit_trail($1)", NOBODYS)
    assert len(others) == is_operator
