"""touch_media: an access, to the hour, and the cleanups that respect it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.conftest import Connect
from tests.helpers import (
    queue_media,
)
from tests.sql.lifecycle import age, all_media, clean_up


async def test_recent_access_keeps_where_asked(db: Any, connect: Connect) -> None:
    touched, forgotten = [await age(db, await queue_media(db), 40) for _ in range(2)]
    client = await connect("media_client")
    for media in (touched, forgotten):
        assert await client.fetchval("select touch_media($1)", media) is True
    await db.execute(
        "update media_accesses set accessed_at = now() - interval '8 days' where media_id = $1",
        forgotten,
    )

    assert await clean_up(db, keep_accessed_days=7) == 1
    assert await all_media(db) == {touched}
    assert await clean_up(db) == 1
    assert await db.fetchval("select count(*) from media_accesses") == 0


async def test_an_access_is_written_once_an_hour(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("select touch_media($1)", media)
    first = await db.fetchval("select accessed_at from media_accesses")

    await db.execute("select touch_media($1)", media)
    assert await db.fetchval("select accessed_at from media_accesses") == first
    await db.execute("update media_accesses set accessed_at = now() - interval '61 minutes'")
    await db.execute("select touch_media($1)", media)

    assert await db.fetchval("select accessed_at >= $1 from media_accesses", first)
    assert await db.fetchval("select touch_media($1)", UUID(int=3)) is False


async def test_what_is_touched_meanwhile_stays(db: Any, connect: Connect) -> None:
    media = await age(db, await queue_media(db), 40)
    cleaning, touching = await connect(), await connect()
    transaction = touching.transaction()
    await transaction.start()
    await touching.execute("select from media where id = $1 for share", media)
    await touching.execute("select touch_media($1)", media)

    assert await clean_up(cleaning, keep_accessed_days=7) == 0
    await transaction.commit()

    assert await clean_up(cleaning, keep_accessed_days=7) == 0
    assert await clean_up(cleaning) == 1
