"""The migration of the webhook: taken back whole, and refused where a name is taken."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import MigrationError, migrate, rollback

REST = """
    select 'relation ' || relname from pg_class
    where relnamespace = 'public'::regnamespace and relname !~ '^(_?yoyo)'
    union all
    select 'type ' || typname from pg_type
    where typnamespace = 'public'::regnamespace and typtype = 'd'
    union all
    select 'function ' || proname from pg_proc where pronamespace = 'public'::regnamespace
"""


async def test_it_is_taken_back_whole(empty_database: str) -> None:
    await asyncio.to_thread(migrate, SecretStr(empty_database))
    await asyncio.to_thread(rollback, SecretStr(empty_database))

    db: Any = await asyncpg.connect(empty_database)
    assert await db.fetch(REST) == []
    await db.close()


async def test_a_domain_of_the_project_is_used_and_kept(empty_database: str) -> None:
    db: Any = await asyncpg.connect(empty_database)
    await db.execute('create domain public."*/*" as bytea')
    await asyncio.to_thread(migrate, SecretStr(empty_database))
    await asyncio.to_thread(rollback, SecretStr(empty_database))

    assert [row[0] for row in await db.fetch(REST)] == ["type */*"]
    await db.close()


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ("create table whatsapp_webhook_events (id int)", "whatsapp_webhook_events"),
        ("create view media_secrets as select 1", "media_secrets"),
        ('create domain public."*/*" as text', "not one of bytea"),
    ],
)
async def test_a_name_that_is_taken_is_refused(empty_database: str, taken: str, named: str) -> None:
    db: Any = await asyncpg.connect(empty_database)
    await db.execute(taken)

    with pytest.raises(MigrationError, match=named):
        await asyncio.to_thread(migrate, SecretStr(empty_database))
    await db.close()
