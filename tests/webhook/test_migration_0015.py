"""The migration of tombstones and of the reasons of refusals, with rows in the tables."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from poller.migrate import schema_folder
from tests.helpers import refused
from tests.webhook.calls import receive
from tests.webhook.payloads import message, received

FORWARD = schema_folder() / "migrations" / "0015.remember-deleted-media.sql"
BACK = FORWARD.with_suffix(".rollback.sql")


async def run(db: Any, *files: Any) -> None:
    for file in files:
        async with db.transaction():
            await db.execute(file.read_text())


async def test_counts_under_other_names_are_kept(db: Any) -> None:
    await run(db, BACK)
    await db.execute("""
        insert into whatsapp_webhook_refusals values
            ('2026-01-01', 'not_json', 1), ('2026-01-01', 'spam', 2), ('2026-01-01', 'other', 3),
            ('2026-01-01', '', 4), ('2026-01-02', 'Spam', 5), ('2026-01-02', 'too_large', 6)
    """)

    await run(db, FORWARD)

    rows = await db.fetch(
        "select date::text, reason, refusals from whatsapp_webhook_refusals order by 1, 2"
    )
    assert rows == [
        ("2026-01-01", "not_json", 1), ("2026-01-01", "other", 9),
        ("2026-01-02", "other", 5), ("2026-01-02", "too_large", 6),
    ]  # fmt: skip
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("insert into whatsapp_webhook_refusals values ('today', 'spam', 1)")


async def test_what_was_there_goes_on(db: Any) -> None:
    payload = received(message(), message(id=None))
    await receive(db, payload)

    await run(db, BACK, FORWARD)

    assert (await receive(db, payload))["duplicates"] == 1
    await db.execute("delete from media")
    assert (await receive(db, payload))["media_deleted"] == 1


async def test_a_name_that_is_taken_is_refused(db: Any) -> None:
    await run(db, BACK)
    await db.execute("create view media_tombstones as select 1")

    with refused("MD030", "media_tombstones"):
        await run(db, FORWARD)
