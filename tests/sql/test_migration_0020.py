"""The migration that bounds settings and cleanups, with settings out of bounds: an upgrade."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from pydantic import SecretStr

from poller.migrate import migrate
from tests.migrations import yoyo

MIGRATION = "0020.bound-media-lifecycle"


async def test_settings_out_of_bounds_come_to_the_bound(database: str) -> None:
    await asyncio.to_thread(yoyo, database, "rollback", "-r", MIGRATION)
    db: Any = await asyncpg.connect(database)
    await db.execute(
        "update media_settings set project_url = 'https://user:word@a.supabase.co',"
        " waiting_recheck = '3 days', backoff_most = '1000 years', whatsapp_keeps = '9 days',"
        " object_cache_control = e'a\\r\\nb'"
    )
    await db.execute("insert into media_cleanups values ('[]', 'image', true, now(), $1)",
                     await db.fetchval("select gen_random_uuid()"))  # fmt: skip

    done = await asyncio.to_thread(migrate, SecretStr(database))

    assert (done.applied[0], done.differences) == (MIGRATION, [])
    found = await db.fetchrow(
        "select project_url, waiting_recheck = '1 day', backoff_most = '100 years',"
        " whatsapp_keeps = '9 days', object_cache_control, audit_kept = '400 days'"
        " from media_settings"
    )
    assert tuple(found) == (
        "https://a.supabase.co", True, True, True, "max-age=31536000, immutable", True,
    )  # fmt: skip
    assert await db.fetchval("select count(*) from media_cleanups") == 0
    await db.close()
