"""renew_media_leases, release_media_jobs, the end of a lease: who holds what, and for how long."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    claim,
    describe,
    events,
    everything,
    expire_lease,
    media_row,
    queue_media,
    queue_row,
    status,
)


async def renew(db: Any, held: dict[UUID, int], poller: str = POLLER) -> set[UUID]:
    rows = await db.fetch(
        "select renew_media_leases($1, $2, $3)", poller, list(held), list(held.values())
    )
    return {row[0] for row in rows}


async def release(db: Any, held: dict[UUID, int], poller: str = POLLER) -> set[UUID]:
    rows = await db.fetch(
        "select release_media_jobs($1, $2, $3)", poller, list(held), list(held.values())
    )
    return {row[0] for row in rows}


async def test_a_live_lease_is_not_taken_over(db: Any) -> None:
    await queue_media(db)
    await claim(db, poller="one")

    assert await claim(db, poller="two") == {}


async def test_an_expired_lease_is_due_again_and_cost_an_attempt(db: Any) -> None:
    media = await queue_media(db)
    await claim(db, poller="one")
    await expire_lease(db, media)

    assert await claim(db, poller="two") == {media: 2}

    row = await queue_row(db, media)
    assert (row["claimed_by"], row["attempts"]) == ("two", 2)
    assert await events(db, media) == ["queued", "claimed", "lease expired", "claimed"]


async def test_spent_attempts_end_as_a_dead_letter(db: Any) -> None:
    media = await queue_media(db)
    for _ in range(12):
        assert media in await claim(db, poller="crashing")
        await expire_lease(db, media)

    assert await claim(db) == {}

    row = await status(db, media)
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "lease_expired", 12)
    assert "crashing" in row["error_text"]
    assert (await media_row(db, media))["failed_at"] is not None
    assert (await events(db, media))[-1] == "failed"
    assert await db.fetchval("select sum(failed_files) from media_analytics_deltas") == 1


async def test_an_expired_lease_that_is_being_written_to_is_left_alone(
    connect: Connect, db: Any
) -> None:
    slow = await connect()
    media = await queue_media(db)
    held = await claim(db)
    await expire_lease(db, media)

    async with slow.transaction():
        assert await renew(slow, held) == {media}
        assert await claim(db, poller="two") == {}  # neither waits nor takes it

    assert (await queue_row(db, media))["claimed_by"] == POLLER


async def test_renewing_moves_the_end_of_the_lease(db: Any) -> None:
    media = await queue_media(db)
    held = await claim(db)
    await expire_lease(db, media)

    assert await renew(db, held) == {media}

    assert await claim(db) == {}
    assert (await queue_row(db, media))["attempts"] == 1


async def test_renewing_does_not_wait_for_a_call_about_one_of_the_jobs(
    connect: Connect, db: Any
) -> None:
    slow = await connect()
    busy, other = await queue_media(db), await queue_media(db)
    held = await claim(db)
    for media in held:
        await expire_lease(db, media)

    async with slow.transaction():
        await describe(slow, busy, held[busy])
        assert await renew(db, held) == {busy, other}  # it is not lost, and nobody may take it
        assert await claim(db, poller="two") == {}

    assert await db.fetchval(
        "select lease_until > now() from media_processing_queue where id = $1", other
    )


async def test_renewing_tells_what_was_lost(db: Any) -> None:
    kept, lost, gone = [await queue_media(db) for _ in range(3)]
    held = await claim(db)
    await expire_lease(db, lost)
    await claim(db, poller="two")
    await db.execute("select delete_media($1)", gone)

    assert await renew(db, held) == {kept}


@pytest.mark.parametrize("call", [renew, release])
async def test_a_batch_of_another_poller_or_of_an_older_token_changes_nothing(
    db: Any, call: Any
) -> None:
    media = await queue_media(db)
    await claim(db)
    await expire_lease(db, media)
    await claim(db)
    before = await everything(db)

    assert await call(db, {media: 1}) == set()
    assert await call(db, {media: 3}) == set()
    assert await call(db, {media: 2}, "two") == set()
    assert await call(db, {}) == set()

    assert await everything(db) == before


async def test_a_release_gives_the_attempt_back(db: Any) -> None:
    media = await queue_media(db)
    held: dict[UUID, int] = {}
    for token in range(1, 9):  # more often than there are attempts
        held = await claim(db)
        assert held == {media: token}
        assert await release(db, held) == {media}

    row = await queue_row(db, media)
    assert (row["status"], row["attempts"], row["claimed_by"]) == ("pending", 0, None)
    assert await release(db, held) == set()
    assert (await queue_row(db, media))["attempts"] == 0
    assert (await events(db, media))[-2:] == ["claimed", "released"]


async def test_a_crash_during_a_pause_is_found_when_it_is_over(db: Any) -> None:
    media = await queue_media(db)
    await claim(db)
    await db.execute("select pause_media_source('storage')")
    await expire_lease(db, media)

    assert await claim(db) == {}
    await db.execute("select resume_media_source('storage')")
    assert await claim(db) == {media: 2}
