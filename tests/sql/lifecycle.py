"""Short words for the tests of the end of media."""

from __future__ import annotations

from typing import Any
from uuid import UUID


async def clean_up(db: Any, days_old: int | None = 30, **arguments: Any) -> int:
    named = {"days_old": days_old, **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))
    return await db.fetchval(f"select cleanup_old_media({call})", *named.values())


async def age(db: Any, media: UUID, days: float) -> UUID:
    """As if its message had been sent so many days ago."""
    await db.execute(
        "update media set message_sent_at = now() - make_interval(secs => $2 * 86400.0)"
        " where id = $1",
        media, days,
    )  # fmt: skip
    return media


async def all_media(db: Any) -> set[UUID]:
    return {row["id"] for row in await db.fetch("select id from media")}
