"""The audit trail is append-only, for its owner too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from tests.helpers import everything, queue_media, refused


@pytest.mark.parametrize(
    "statement",
    [
        "update media_audit_log set event = 'nothing'",
        "update media_audit_log set event = 'nothing' where false",
        "delete from media_audit_log",
        "truncate media_audit_log",
        "merge into media_audit_log a using messages m on true when matched then delete",
        "insert into media_audit_log (id, media_id, event) overriding system value"
        " select id, media_id, event from media_audit_log"
        " on conflict (id) do update set event = 'nothing'",
        "with gone as (delete from media_audit_log returning *) select count(*) from gone",
    ],
)
async def test_nobody_changes_the_trail(db: Any, statement: str) -> None:
    assert await db.fetchval("select tableowner = current_user from pg_tables"
                             " where tablename = 'media_audit_log'")  # fmt: skip
    await queue_media(db)
    before = await everything(db)

    with refused("MD040", "append-only"):
        await db.execute(statement)

    assert await everything(db) == before


@pytest.mark.parametrize("statement", ["delete from media_audit_log", "truncate media_audit_log"])
async def test_nor_in_a_session_without_triggers(db: Any, statement: str) -> None:
    await queue_media(db)
    await db.execute("set session_replication_role = replica")

    with refused("MD040", "append-only"):
        await db.execute(statement)


@pytest.mark.parametrize(
    "statement", ["update {} set event = 'nothing'", "delete from {}", "truncate {}"]
)
@pytest.mark.parametrize("replication_role", ["origin", "replica"])
async def test_nor_through_a_table_that_it_inherits_from(
    db: Any, statement: str, replication_role: str
) -> None:
    await queue_media(db)
    await db.execute("create table above (like media_audit_log);"
                     " alter table media_audit_log inherit above")  # fmt: skip
    before = await everything(db)
    await db.execute(f"set session_replication_role = {replication_role}")

    with refused("MD040", "append-only"):
        await db.execute(statement.format("above"))

    assert await everything(db) == before


@pytest.mark.parametrize("statement", ["delete from media_settings", "truncate media_settings"])
@pytest.mark.parametrize("replication_role", ["origin", "replica"])
async def test_the_settings_that_keep_it_stay(
    db: Any, statement: str, replication_role: str
) -> None:
    before = await everything(db)
    await db.execute(f"set session_replication_role = {replication_role}")

    with refused("MD042", "media_settings"):
        await db.execute(statement)

    assert await everything(db) == before


async def test_the_trail_stays_even_without_settings(db: Any) -> None:
    await queue_media(db)
    await db.execute("alter table media_settings disable trigger all; delete from media_settings")

    with refused("MD040", "append-only"):
        await db.execute("delete from media_audit_log")


async def test_a_trigger_that_was_disabled_is_enabled_by_migrate(db: Any, database: str) -> None:
    await db.execute("alter table media_audit_log disable trigger all")
    disabled = "select count(*) from describe_media_schema() x where x like '%disabled'"
    assert await db.fetchval(disabled) == 3

    await asyncio.to_thread(migrate, SecretStr(database))

    assert await db.fetchval(disabled) == 0
