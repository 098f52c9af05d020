"""Removals of files, and deletions of what refers to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.helpers import POLLER, sha256

HASH = sha256(b"a photo")

DANGLING = """
    select count(*)
    from media m
    left join media_objects o on o.id = m.object_id
    where m.processed and (o.state is distinct from 'stored' or o.storage_path <> m.storage_path
        or exists (select from media_deletion_queue d
            where d.bucket_name = m.bucket_name and d.storage_path = m.storage_path))
"""
"""How many attachments refer to a file that is on its way out."""


async def delete(db: Any, media: UUID) -> bool:
    return await db.fetchval("select delete_media($1)", media)


async def claim_deletions(db: Any, limit: int = 100, poller: str = POLLER) -> dict[UUID, int]:
    """Claim removals; the fencing token of each."""
    rows = await db.fetch("select * from claim_media_deletions($1, $2)", poller, limit)
    return {row["id"]: row["fencing_token"] for row in rows}


async def finish_deletions(db: Any, held: dict[UUID, int], poller: str = POLLER) -> int:
    return await db.fetchval(
        "select finish_media_deletions($1, $2, $3)", poller, list(held), list(held.values())
    )
