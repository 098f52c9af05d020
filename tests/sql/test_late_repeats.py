"""A repeat that is being queued while its leader ends, which so does not see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    describe,
    finish_upload,
    make_due,
    queue_media,
    queue_row,
    status,
)
from tests.sql.test_waiting import HASH, RECHECK, lead, send, waits_for


async def test_a_leader_whose_content_another_one_stored_frees_it(
    connect: Connect, db: Any
) -> None:
    """Whoever stored it did not see who was just being queued, to wait for the leader."""
    leader, storing = await send(db), await queue_media(db, phone_number_id="2")
    held = await claim(db)
    begun = await begin_upload(db, storing, held[storing], content_hash=HASH)
    queueing = await connect()
    async with queueing.transaction():
        late = await send(queueing)
        await finish_upload(db, storing, held[storing], begun["object_id"])
    assert await waits_for(db, late) == leader

    described = await describe(db, leader, held[leader], sha256=HASH)

    assert described["verdict"] == "deduplicated"
    assert (await status(db, late))["status"] == "pending"


async def test_it_waits_two_seconds_at_most(connect: Connect, db: Any) -> None:
    """It looks after the leader itself, soon and then less often."""
    leader = await send(db)
    begun = await lead(db, leader, token := (await claim(db))[leader])
    queueing = await connect()
    async with queueing.transaction():
        late = await send(queueing)
        await finish_upload(db, leader, token, begun["object_id"])
    row = await queue_row(db, late)
    assert (row["status"], row["due_at"] - row["queued_at"]) == ("waiting", timedelta(seconds=2))

    await make_due(db)
    await db.execute(RECHECK)

    assert (await status(db, late))["status"] == "stored"


async def test_who_waits_for_long_looks_less_often(db: Any) -> None:
    leader, waiting = await send(db), await send(db)
    await make_due(db)

    await db.execute(RECHECK)

    due_in = "select due_at - now() from media_processing_queue where id = $1"
    assert timedelta(seconds=10) < await db.fetchval(due_in, waiting) <= timedelta(seconds=15)
    assert await waits_for(db, waiting) == leader
