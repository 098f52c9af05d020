"""Calls that wait at the same moment go to the database together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from poller.db import Database, LeaseLostError, grouping
from poller.db.grouping import GroupedCalls
from poller.records import Job, SourceVerdict
from tests.conftest import Connect
from tests.helpers import expire_lease, queue_many, sha256


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


async def test_a_group_with_an_answer_too_few_is_called_one_by_one(calls: Calls) -> None:
    async def all_but_one(items: Sequence[str]) -> list[str]:
        return (await calls.together(items))[1:]

    call = GroupedCalls(calls.one, all_but_one, order=str)

    assert await in_groups(calls, call, "x", "a", "b") == ["X", "A", "B"]
