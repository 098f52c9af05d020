"""The audit trail is append-only, for its owner too."""

from __future__ import annotations

from typing import Any

import pytest

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
