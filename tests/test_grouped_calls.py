"""Calls that wait at the same moment go to the database together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from poller.db import Database, LeaseLostError, grouping
from poller.db.grouping import GroupedCalls
from poller.records import Job, SourceVerdict
from tests.conftest import Connect
from tests.helpers import eventually, expire_lease, queue_many, sha256


class Calls:
    """What was called, alone and together; calls wait until they are let go."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.unstuck = asyncio.Event()
        self.broken: BaseException | None = None

    async def one(self, item: str) -> str:
        return (await self.together([item]))[0]

    async def together(self, items: Sequence[str]) -> list[str]:
        self.made.append(list(items))
        self.begun.set()
        await self.go.wait()
        if "stuck" in items:
            await self.unstuck.wait()
        if self.broken is not None and len(items) > 1:
            raise self.broken
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def call(calls: Calls) -> GroupedCalls[str, str]:
    return GroupedCalls(calls.one, calls.together, order=str)


async def in_groups(calls: Calls, call: GroupedCalls[str, str], *items: str) -> list[Any]:
    """The answers to the first item, which is under way, and to the rest, who wait for it."""
    calls.go.clear()
    first = asyncio.create_task(call(items[0]))
    await calls.begun.wait()
    rest = [asyncio.create_task(call(item)) for item in items[1:]]
    await asyncio.sleep(0)
    calls.go.set()
    return await asyncio.gather(first, *rest, return_exceptions=True)


async def test_a_call_goes_at_once_and_those_that_wait_for_it_together(
    calls: Calls, call: GroupedCalls[str, str]
) -> None:
    assert await in_groups(calls, call, "x", "c", "a", "b") == ["X", "C", "A", "B"]

    assert calls.made == [["x"], ["a", "b", "c"]]


async def test_a_group_that_fails_is_called_one_by_one(
    calls: Calls, call: GroupedCalls[str, str]
) -> None:
    calls.broken = asyncpg.PostgresError("one of them")

    x, a, bad, b = await in_groups(calls, call, "x", "a", "bad", "b")

    assert (x, a, b) == ("X", "A", "B")
    assert isinstance(bad, ValueError)
    assert calls.made[2:] == [["a"], ["b"], ["bad"]]


async def test_a_group_that_is_slow_is_called_one_by_one(
    calls: Calls, call: GroupedCalls[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "PATIENCE_SECONDS", 0.05)
    stuck = asyncio.create_task(call("stuck"))  # not yet begun: of one group with the others

    async with asyncio.timeout(30):
        assert await asyncio.gather(call("a"), call("b")) == ["A", "B"]

    assert calls.made == [["a", "b", "stuck"], ["a"], ["b"], ["stuck"]]
    assert not stuck.done()
    calls.unstuck.set()
    assert await stuck == "STUCK"


async def test_who_comes_later_does_not_wait_for_one_that_is_slow(
    calls: Calls, call: GroupedCalls[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "PATIENCE_SECONDS", 0.05)
    stuck = asyncio.create_task(call("stuck"))
    await calls.begun.wait()

    async with asyncio.timeout(30):
        assert await asyncio.gather(call("a"), call("b")) == ["A", "B"]

    assert calls.made == [["stuck"], ["a", "b"]]
    calls.unstuck.set()
    assert await stuck == "STUCK"


async def test_a_group_has_an_end(calls: Calls, call: GroupedCalls[str, str]) -> None:
    items = [f"{number:02}" for number in range(grouping.MOST_TOGETHER + 3)]

    assert await in_groups(calls, call, "x", *items) == ["X", *items]

    assert [len(group) for group in calls.made] == [1, grouping.MOST_TOGETHER, 3]


async def test_a_lost_connection_is_everybodys(calls: Calls, call: GroupedCalls[str, str]) -> None:
    calls.broken = ConnectionResetError()

    x, *others = await in_groups(calls, call, "x", "a", "b")

    assert x == "X"
    assert [type(one) for one in others] == [ConnectionResetError] * 2


async def test_who_is_cancelled_while_waiting_is_not_called(
    calls: Calls, call: GroupedCalls[str, str]
) -> None:
    calls.go.clear()
    first = asyncio.create_task(call("x"))
    await calls.begun.wait()
    cancelled, last = (asyncio.create_task(call(item)) for item in ("a", "b"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    calls.go.set()

    assert await asyncio.gather(first, last) == ["X", "B"]
    assert calls.made == [["x"], ["b"]]
    assert await call("c") == "C"


@pytest.fixture
async def poller(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database, "one")
    yield opened
    await opened.close()


async def describe_all(poller: Database, jobs: list[Job]) -> list[SourceVerdict | BaseException]:
    return await asyncio.gather(
        *(poller.describe(job, "image/jpeg", 1000, sha256(job.id.bytes)) for job in jobs),
        return_exceptions=True,
    )


async def test_one_whose_lease_was_lost_does_not_fail_the_others(db: Any, poller: Database) -> None:
    await queue_many(db, 6)
    jobs = await poller.claim(6)
    await expire_lease(db, jobs[3].id)
    await db.execute("select rescue_media_jobs()")

    answers = await describe_all(poller, jobs)

    assert isinstance(answers.pop(3), LeaseLostError)
    assert [getattr(one, "verdict", one) for one in answers] == ["download"] * 5


async def test_one_that_waits_for_a_lock_does_not_hold_up_the_others(
    connect: Connect, db: Any, poller: Database
) -> None:
    await queue_many(db, 6)
    jobs = await poller.claim(6)
    other = await connect()
    locked = other.transaction()
    await locked.start()
    await other.execute("select from media where id = $1 for update", jobs[3].id)

    free = [job for job in jobs if job is not jobs[3]]
    held = asyncio.create_task(describe_all(poller, [jobs[3]]))
    answers = await describe_all(poller, free)

    assert [getattr(one, "verdict", one) for one in answers] == ["download"] * 5
    assert not held.done()
    await locked.rollback()
    assert [getattr(one, "verdict", one) for one in await held] == ["download"]


async def test_a_group_is_one_transaction(db: Any, poller: Database) -> None:
    await queue_many(db, 6)
    jobs = await poller.claim(6)

    await describe_all(poller, jobs)

    query = "select xmin::text from media_processing_queue"
    written_by = {row[0] for row in await db.fetch(query)}
    assert len(written_by) == 1


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
        calls = {
            "describe": partial(poller.describe, joining, "image/jpeg", 1000, content),
            "begin": partial(poller.begin_upload, joining, content, 1000, facts),
            "finish": partial(poller.finish_upload, leader, content, place, {}),
        }
        found.append(Content(place, calls))
    return found


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
    poller = await Database.connect(f"{database}?deadlock_timeout=10ms", "poller-1", 4)
    contents = await make_contents(db, poller, 3)
    met: list[asyncpg.PostgresError] = []
    fetch = poller._fetch

    async def watched(*told: Any, **named: Any) -> Any:
        try:
            return await fetch(*told, **named)
        except asyncpg.PostgresError as error:
            met.append(error)
            raise

    monkeypatch.setattr(poller, "_fetch", watched)
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
    assert met == []
