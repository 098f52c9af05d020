"""hold_media and release_media_hold: what stays, whoever deletes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from tests.conftest import Connect
from tests.helpers import (
    blocked,
    events,
    media_row,
    queue_media,
    refused,
    sha256,
    store,
)
from tests.sql.lifecycle import age, clean_up


async def test_a_held_attachment_stays_whoever_deletes(db: Any) -> None:
    media = await age(db, await store(db, sha256(b"x")), 40)
    await db.execute("select hold_media($1, 'case 12')", media)

    assert await clean_up(db) == 0
    with refused("MD021", "case 12"):
        await db.execute("select delete_media($1)", media)
    for statement in ("delete from media", "delete from messages"):
        with refused("23503", "media_is_held"):
            await db.execute(statement)
    assert (await media_row(db, media))["processed"]

    assert await db.fetchval("select release_media_hold($1)", media) is True
    assert await db.fetchval("select release_media_hold($1)", media) is False
    assert await clean_up(db) == 1
    assert await events(db, media) == [
        "queued", "claimed", "stored", "held", "hold released", "deleted",
    ]  # fmt: skip


async def test_a_hold_needs_a_reason_and_an_attachment(db: Any) -> None:
    media = await queue_media(db)
    for reason in ("", " ", None):
        with refused("MD024", "reason"):
            await db.execute("select hold_media($1, $2)", media, reason)
    with refused("MD016", str(UUID(int=3))):
        await db.execute("select hold_media($1, 'case')", UUID(int=3))
    await db.execute("select hold_media($1, 'case 1')", media)
    await db.execute("select hold_media($1, 'case 2')", media)
    assert await db.fetchval("select reason from media_holds") == "case 2"


async def test_a_hold_waits_for_a_deletion_and_is_refused(db: Any, connect: Connect) -> None:
    media = await queue_media(db)
    deleting, holding = await connect(), await connect()
    transaction = deleting.transaction()
    await transaction.start()
    await deleting.execute("select delete_media($1)", media)

    held = asyncio.create_task(holding.execute("select hold_media($1, 'case')", media))
    await blocked(db, holding)
    await transaction.commit()

    with refused("MD016", str(media)):
        await held


async def test_a_deletion_waits_for_a_hold_and_is_refused(db: Any, connect: Connect) -> None:
    media = await age(db, await queue_media(db), 40)
    deleting, holding = await connect(), await connect()
    transaction = holding.transaction()
    await transaction.start()
    await holding.execute("select hold_media($1, 'case')", media)

    assert await clean_up(db) == 0  # passes by
    deleted = asyncio.create_task(deleting.execute("select delete_media($1)", media))
    await blocked(db, deleting)
    await transaction.commit()

    with refused("MD021", "case"):
        await deleted
    assert await media_row(db, media) is not None


async def test_holds_of_plain_sql_are_audited(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("insert into media_holds (media_id, reason) values ($1, 'case')", media)
    await db.execute("update media_holds set media_id = media_id, reason = 'other case'")
    await db.execute("delete from media_holds")

    assert await events(db, media) == ["queued", "held", "held", "hold released"]
