"""The migration of the lifecycle's end, with rows in the tables: an upgrade, and back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
from pydantic import SecretStr

from poller.migrate import migrate
from tests.helpers import claim, fail, queue_media, queue_row, sha256, store
from tests.migrations import yoyo


async def test_an_upgrade_with_rows(database: str) -> None:
    db: Any = await asyncpg.connect(database)
    for content in (b"x", b"y"):
        await store(db, sha256(content))
    dead = await queue_media(db)
    await fail(db, dead, (await claim(db))[dead], code="100")
    await db.execute("update media_analytics_deltas set at = now() - interval '5 hours'")
    await db.close()

    await asyncio.to_thread(yoyo, database, "rollback", "-r", "0018.finish-media-lifecycle")
    db = await asyncpg.connect(database)
    assert await db.fetchval("select to_regclass('media_cleanups')") is None
    assert await db.fetchval("select count(distinct minute) from media_analytics_deltas") == 1
    done = await asyncio.to_thread(migrate, SecretStr(database))

    assert (done.applied[0], done.differences) == ("0018.finish-media-lifecycle", [])
    row = await queue_row(db, dead)
    failed_at = await db.fetchval("select failed_at from media where id = $1", dead)
    assert row["died_at"] == failed_at
    found = json.loads(await db.fetchval("select get_media_storage_stats()"))
    assert (found["stored_files"], found["stored_bytes"]) == (2, 2000)  # from the first moment on
    assert json.loads(await db.fetchval("select run_media_maintenance()"))["folded_deltas"] > 0
    found = json.loads(await db.fetchval("select get_media_storage_stats()"))
    assert (found["stored_files"], found["stored_bytes"], found["files"]) == (2, 2000, 2)
    assert [found["throughput"][span]["files"] for span in ("last_hour", "last_day")] == [0, 2]
    await db.close()
