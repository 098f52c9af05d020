"""What would only be refused at the commit is refused alone, and found in linear time."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.webhook.calls import receive
from tests.webhook.payloads import (
    media,
    message,
    received,
)
from tests.webhook.triggers import REFUSE_AT_COMMIT


async def test_what_deferred_constraints_refuse_does_not_keep_the_others_out(db: Any) -> None:
    await db.execute(REFUSE_AT_COMMIT)
    good, stranger = [message() for _ in range(5)], message(**{"from": "a stranger"})
    rude = message(image=media(caption="rude"))

    summary = await receive(db, received(*good[:2], stranger, rude, *good[2:]))

    assert (summary["new"], summary["media_queued"]) == (6, 5)
    reasons = sorted(summary["errors"])
    assert reasons[0] == "media_refused: the caption is rude (BOT03)"
    assert reasons[1].startswith("message_refused: insert or update on table")
    assert await db.fetchval("select count(*) from messages") == 6
    assert await db.fetchval("select count(*) from media_processing_queue") == 5


async def test_what_a_bots_transaction_has_deferred_stays_deferred(db: Any) -> None:
    """The call comes between a child and its parent, and neither is what keeps messages out."""
    await db.execute(REFUSE_AT_COMMIT)
    await db.execute("""
        create table orders (
            customer text references customers deferrable initially immediate,
            referrer text references customers deferrable initially deferred
        )
    """)
    async with db.transaction():
        await db.execute("insert into orders values ('4915112345678', 'later')")
        summary = await receive(db, received(message()))
        await db.execute("insert into customers values ('later')")
        between = await receive(db, received(message(**{"from": "later"}), message()))
        await db.execute("insert into orders (referrer) values ('much later')")
        await db.execute("insert into customers values ('much later')")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with db.transaction():
                await db.execute("insert into orders (customer) values ('nobody')")

    assert (summary["new"], summary["media_queued"], summary["errors"]) == (1, 1, {})
    assert (between["new"], between["errors"]) == (2, {})
    assert await db.fetchval("select count(*) from orders") == 2
