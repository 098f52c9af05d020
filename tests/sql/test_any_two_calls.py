"""Any two calls at once: no two deadlock, and what holds goes on holding.

The first call is stopped before its commit, or where a third connection holds a row that it needs;
then comes the second; the row is let go, and each commits when it gets there. One such row is taken
for each pair, with PGMEDIA_TEST_PROFILE=thorough all of them.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect
from tests.helpers import (
    make_due,
)
from tests.sql.queue_invariants import THOROUGH
from tests.sql.race_scene import (
    CALLS,
    LEAVING,
    STORED,
    Call,
    Scene,
    bring_to_an_end,
    set_scene,
    settled,
    violations,
)

OBJECT = "select from media_objects where content_hash"
ROWS = {
    "nothing": "select",
    **{
        f"{table} of {name}": f"select from {table} where id = '{{{name}}}' for update"
        for name in ("leader", "waiting", "second")
        for table in ("media_processing_queue", "media")
    },
    "the reservation": "select from media_objects where id = '{object_id}' for update",
    "the stored object": f"{OBJECT} = '{STORED}' for update",
    "the object to be removed": f"{OBJECT} = '{LEAVING}' for update",
    "the deletion": "select from media_deletion_queue for update",
    "the source": "select from media_sources for update",
    "the pause": "select from media_pauses for update",
}


async def make(db: Any, call: Call, scene: Scene) -> None:
    try:
        await call(db, scene)
    except asyncpg.PostgresError as error:
        if error.sqlstate != "MD001":  # the lease was lost: that may be
            raise


async def is_held_up(db: Any, connections: list[Any], scene: Scene, name: str, row: str) -> bool:
    """Does the call need the row? Nothing stays of it."""
    one, _, three = connections
    hold, open_call = three.transaction(), one.transaction()
    await hold.start()
    await three.execute(ROWS[row].format(**vars(scene)))
    await open_call.start()
    task = asyncio.create_task(make(one, CALLS[name], scene))
    waits = not await settled(db, one, task)
    await hold.rollback()
    await task
    await open_call.rollback()
    return waits


async def meet(
    db: Any, connections: list[Any], scene: Scene, pair: tuple[str, str], row: str
) -> None:
    hold = connections[2].transaction()
    await hold.start()
    await connections[2].execute(ROWS[row].format(**vars(scene)))
    open_calls: dict[asyncio.Task[None], Any] = {}
    for connection, name in zip(connections, pair, strict=False):
        transaction = connection.transaction()
        await transaction.start()
        task = asyncio.create_task(make(connection, CALLS[name], scene))
        open_calls[task] = transaction
        await settled(db, connection, task)
    await hold.rollback()
    waiting = set(open_calls)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            failed = task.exception()
            await (open_calls[task].rollback() if failed else open_calls[task].commit())
    for task in open_calls:
        await task


@pytest.fixture
async def three(connect: Connect) -> list[Any]:
    connections = [await connect() for _ in range(3)]
    for connection in connections:
        await connection.execute("set deadlock_timeout = '50ms'")
    return connections


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", CALLS)
async def test_any_two_calls(db: Any, three: list[Any], first: str) -> None:
    problems: list[str] = []
    for lease_over in (False, True):
        scene = await set_scene(db, lease_over)
        rows = [
            row
            for row in ROWS
            if row == "nothing" or await is_held_up(db, three, scene, first, row)
        ]
        for number, second in enumerate(CALLS):
            if not THOROUGH and number % 2 != lease_over:
                continue
            for row in rows if THOROUGH else [rows[number // 2 % len(rows)]]:
                scene = await set_scene(db, lease_over)
                try:
                    await meet(db, three, scene, (first, second), row)
                    await make_due(db)
                    await db.execute("select rescue_media_jobs()")
                    broken = await violations(db)
                    await bring_to_an_end(db)
                    broken += await violations(db)
                except asyncpg.PostgresError as error:
                    broken = [repr(error)]
                problems += [f"{first}, {second}, held at {row}: {it}" for it in broken]
    assert problems == []


@pytest.mark.parametrize(
    ("first", "second", "row"),
    [
        ("cancel the leader", "delete the leader", "media_processing_queue of leader"),
        ("delete the leader", "cancel the leader", "media of leader"),
        ("cancel who waits", "delete all", "media_processing_queue of waiting"),
        ("retry", "delete all", "media of leader"),
        ("delete all", "retry", "media of leader"),
    ],
)
async def test_operators_do_not_deadlock_with_deletions(
    db: Any, three: list[Any], first: str, second: str, row: str
) -> None:
    scene = await set_scene(db, lease_over=False)

    await meet(db, three, scene, (first, second), row)

    assert await violations(db) == []
