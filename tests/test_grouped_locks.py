"""Groups of calls lock contents in one order, so that no two wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from poller.db import Database, grouping
from tests.conftest import Connect
from tests.helpers import eventually, queue_many, sha256


@pytest.fixture
async def poller(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database, "one")
    yield opened
    await opened.close()


@dataclass(frozen=True, slots=True)
class Content:
    """A content that one attachment leads, and another one is about to join."""

    object_id: UUID
    calls: dict[str, Callable[[], Awaitable[Any]]]


async def make_contents(db: Any, poller: Database, number: int) -> list[Content]:
    """In the order of their hashes. The ids of the objects come in the other order."""
    await queue_many(db, 2 * number)
    jobs = await poller.claim(2 * number)
    hashes = sorted(sha256(job.id.bytes) for job in jobs[:number])
    facts = {"mime_type": "image/jpeg"}
    found: list[Content] = []
    for leader, joining, content in zip(jobs[:number], jobs[number:], hashes, strict=True):
        begun = await poller.begin_upload(leader, content, 1000, facts)
        place = UUID(int=9 - len(found))
        await db.execute("update media_objects set id = $1 where id = $2", place, begun.object_id)
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "describe": partial(poller.describe, joining, "image/jpeg", 1000, content),
            "begin": partial(poller.begin_upload, joining, content, 1000, facts),
            "finish": partial(poller.finish_upload, leader, content, place, {}),
        }
        found.append(Content(place, calls))
    return found


class Watched(Database):
    """Keeps the errors of Postgres, which a group does not pass on."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], poller: str) -> None:
        super().__init__(pool, poller)
        self.met: list[asyncpg.PostgresError] = []

    async def _fetch(
        self, call: str, *arguments: object, wait: float | None = None
    ) -> list[asyncpg.Record]:
        try:
            return await super()._fetch(call, *arguments, wait=wait)
        except asyncpg.PostgresError as error:
            self.met.append(error)
            raise


async def held_up(db: Any, calls: int) -> None:
    """Wait until so many calls wait for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database()"
    waiting += " and wait_event_type = 'Lock'"
    await eventually(lambda: db.fetchval(f"{waiting} having count(*) = $1", calls))


@pytest.mark.parametrize("kind", ["describe", "begin", "finish"])
async def test_all_groups_lock_contents_in_one_order(
    connect: Connect, db: Any, poller: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One that waits for the first content holds no other, so no two wait for each other."""
    monkeypatch.setattr(grouping, "PATIENCE_SECONDS", 30)
    first, second = await make_contents(db, poller, 2)
    lock = "select from media_objects where id = $1 for update nowait"
    other = await connect()
    async with other.transaction():
        await other.execute(lock, first.object_id)
        group = asyncio.gather(second.calls[kind](), first.calls[kind]())
        await held_up(db, 1)

        await db.execute(lock, second.object_id)

        assert not group.done()
    await group


@pytest.mark.parametrize("kind", ["describe", "begin"])
async def test_groups_of_two_kinds_never_wait_for_each_other(
    connect: Connect, db: Any, database: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The one has come to the second of three contents when the other begins."""
    monkeypatch.setattr(grouping, "PATIENCE_SECONDS", 30)
    poller = await Watched.connect(f"{database}?deadlock_timeout=10ms", "poller-1", 4)
    contents = await make_contents(db, poller, 3)
    other = await connect()
    async with other.transaction():
        await other.execute(
            "select from media_objects where id = $1 for update", contents[1].object_id
        )
        joining = asyncio.gather(*(content.calls[kind]() for content in contents))
        await held_up(db, 1)
        finishing = asyncio.gather(*(content.calls["finish"]() for content in contents))
        await held_up(db, 2)

    await asyncio.gather(joining, finishing)
    await poller.close()
    assert poller.met == []
