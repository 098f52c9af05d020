"""The migration that straightens times: an upgrade with one that runs both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from pydantic import SecretStr

from poller.migrate import migrate
from tests.migrations import yoyo

MIGRATION = "0024.settle-media-lifecycle"


async def test_times_become_what_they_compare_as(database: str) -> None:
    await asyncio.to_thread(yoyo, database, "rollback", "-r", MIGRATION)
    db: Any = await asyncpg.connect(database)
    await db.execute(
        "update media_settings set audit_kept = '-1200 mons 36001 days', lease = '90 s',"
        " whatsapp_keeps = '40 days'"
    )
    await db.execute("insert into media_cleanups values ('[]', 'image', true, now(), $1)",
                     await db.fetchval("select gen_random_uuid()"))  # fmt: skip

    done = await asyncio.to_thread(migrate, SecretStr(database))

    assert (done.applied[0], done.differences) == (MIGRATION, [])
    found = await db.fetchrow(
        "select audit_kept::text, lease::text, whatsapp_keeps::text from media_settings"
    )
    assert tuple(found) == ("1 day", "00:01:30", "40 days")
    assert await db.fetchval("select count(*) from media_cleanups") == 0
    await db.close()
