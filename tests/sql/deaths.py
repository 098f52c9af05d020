"""The ways in which an attempt ends unheard."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.helpers import POLLER, expire_lease, fail


async def die_killed(db: Any, media: UUID, _: int) -> None:
    await expire_lease(db, media)
    await db.execute("select rescue_media_jobs()")


async def die_stopped(db: Any, media: UUID, token: int) -> None:
    await db.execute(
        "select release_media_jobs($1, array[$2::uuid], array[$3::integer])", POLLER, media, token
    )


async def die_cancelled(db: Any, media: UUID, _: int) -> None:
    await db.execute("select cancel_media($1)", media)


async def die_deleted(db: Any, media: UUID, _: int) -> None:
    await db.execute(
        "delete from messages where id = (select message_id from media where id = $1)", media
    )


async def die_puzzled(db: Any, media: UUID, token: int) -> None:
    await fail(db, media, token, source="poller", text="unexpected KeyError")


DEATHS = [die_killed, die_stopped, die_cancelled, die_deleted, die_puzzled]


async def unheard(db: Any) -> int:
    return await db.fetchval("select count(*) from media_unheard_requests")
