"""Claims while an old snapshot keeps vacuum from removing what has gone from the queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import blocked, claim, make_due, queue_many, queue_media

DEAD = 600


@pytest.fixture
async def dead_rows(connect: Connect, db: Any) -> None:
    """The beginning of the queue is dead rows, and the first claim has stumbled over them."""
    forgotten = await connect()
    await forgotten.execute("begin isolation level repeatable read; select 1")
    await queue_many(db, DEAD)
    await db.execute("update media_processing_queue set due_at = now() - interval '1 hour'")
    await db.execute("delete from media_processing_queue")
    await queue_many(db, 5)
    assert len(await claim(db, 1)) == 1
    assert await marks(db) == 1


async def marks(db: Any) -> int:
    query = "select count(*) from media_sources where due_from_until > now()"
    return await db.fetchval(query)


async def end_marks(db: Any) -> None:
    """Age the marks to their end."""
    await db.execute("update media_sources set due_from_until = now()")


async def blocks_read(db: Any, limit: int) -> int:
    query = "select pg_stat_get_xact_blocks_fetched('media_processing_queue'::regclass)"
    async with db.transaction():
        before = await db.fetchval(query)
        assert len(await claim(db, limit)) == limit
        return await db.fetchval(query) - before


@pytest.mark.usefixtures("dead_rows")
async def test_a_claim_does_not_read_them_again(db: Any) -> None:
    assert await blocks_read(db, 2) < 100

    await end_marks(db)
    assert await blocks_read(db, 2) > DEAD


@pytest.mark.usefixtures("dead_rows")
async def test_marks_follow_what_dies_behind_them(db: Any) -> None:
    await queue_many(db, 3 * DEAD)
    await db.execute(
        "update media_processing_queue set due_at = now() - interval '30 minutes'"
        " where status = 'pending'"
    )
    await db.execute("delete from media_processing_queue where status = 'pending'")
    await queue_many(db, 5)
    await db.execute(
        "update media_sources set due_from = array_fill(now() - interval '1 hour', array[10])"
    )

    assert await blocks_read(db, 1) > 3 * DEAD
    assert await blocks_read(db, 1) < 100


@pytest.mark.usefixtures("dead_rows")
async def test_what_is_queued_meanwhile_is_claimed_at_once(db: Any) -> None:
    late = await queue_media(db, phone_number_id="1")
    urgent = await queue_media(db, phone_number_id="1", priority=1)

    assert list(await claim(db, 1)) == [urgent]
    assert late in await claim(db)


@pytest.mark.usefixtures("dead_rows")
async def test_what_comes_to_an_earlier_place_is_claimed_when_the_mark_ends(db: Any) -> None:
    early = await queue_media(db, phone_number_id="1")
    await db.execute(
        "update media_processing_queue set due_at = now() - interval '1 hour' where id = $1", early
    )
    assert early not in await claim(db)

    await end_marks(db)
    assert early in await claim(db)


@pytest.mark.usefixtures("dead_rows")
async def test_a_number_that_is_new_is_claimed_when_the_mark_ends(db: Any) -> None:
    media = await queue_media(db, phone_number_id="new")
    assert media not in await claim(db)

    await end_marks(db)
    assert media in await claim(db)


@pytest.mark.usefixtures("dead_rows")
async def test_the_allowance_of_a_number_holds(db: Any) -> None:
    await queue_many(db, 20)
    for priority in (1, 9):
        await queue_media(db, phone_number_id="1", priority=priority)

    assert len(await claim(db)) == 15  # one was claimed before, and one is kept back

    assert len(await claim(db)) == 0


@pytest.mark.usefixtures("dead_rows")
async def test_a_claim_while_a_migration_changes_the_tables(connect: Connect, db: Any) -> None:
    """It waits, and goes on with the tables as they are then, whatever it has planned before."""
    claiming, migrating = await connect(), await connect()
    assert len(await claim(claiming, 1)) == 1
    async with migrating.transaction():
        for table in ("media_sources", "media_processing_queue", "media_settings"):
            await migrating.execute(f"alter table {table} add column added text default 'x'")
        claimed = asyncio.create_task(claim(claiming))
        await blocked(db, claiming)

    assert len(await claimed) == 3
    assert await marks(db) == 1
    assert await claim(claiming) == {}


async def test_a_queue_without_dead_rows_is_not_marked(db: Any) -> None:
    for number in ("1", "2", "3"):
        await queue_many(db, 200, number)
    await make_due(db)

    await claim(db)

    assert await marks(db) == 0


async def test_a_claim_passes_over_what_somebody_has_locked(connect: Connect, db: Any) -> None:
    await queue_many(db, 6)
    other = await connect()
    await other.execute("begin")
    locked = await other.fetch(
        "select id from media_processing_queue order by priority, due_at, id limit 4 for update"
    )

    for _ in range(2):
        (claimed,) = await claim(db, 1)
        assert claimed not in {row["id"] for row in locked}

    assert await claim(db, 1) == {}
