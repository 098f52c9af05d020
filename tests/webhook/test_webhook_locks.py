"""Calls that meet others' locks, and each other."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect
from tests.helpers import eventually
from tests.webhook.calls import receive
from tests.webhook.payloads import (
    message,
    received,
)

WAIT_AT_THE_SECOND_ROW = """
    create function wait_at_second() returns trigger language plpgsql as $$
    begin
        if current_setting('test.rows', true) = 'one' then
            perform pg_advisory_xact_lock_shared(1);
        end if;
        perform set_config('test.rows', 'one', true);
        return new;
    end $$;
    create trigger wait_at_second before insert on messages
        for each row execute function wait_at_second();
"""


async def test_the_servers_own_faults_are_raised(db: Any, connect: Connect) -> None:
    one, other = message(), await connect()
    async with db.transaction():
        await receive(db, received(one, message()))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await receive(other, received(message(), one))

    assert await db.fetchval("select count(*) from whatsapp_webhook_events") == 1


async def test_two_calls_with_the_same_messages_never_deadlock(db: Any, connect: Connect) -> None:
    """Both calls stand at their second row when the gate opens; unsorted, each held the other's."""
    await db.execute(WAIT_AT_THE_SECOND_ROW)
    one, two = message(id="wamid.1"), message(id="wamid.2")
    first, second = await connect(), await connect()
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(1)")
        calls = [
            asyncio.create_task(receive(first, received(one, two))),
            asyncio.create_task(receive(second, received(two, one))),
        ]
        await eventually(lambda: waiting(db, first, second))

    summaries = await asyncio.gather(*calls)

    assert sorted(summary["new"] for summary in summaries) == [0, 2]
    assert sorted(summary["media_queued"] for summary in summaries) == [0, 2]


async def waiting(db: Any, *connections: Any) -> bool:
    """Do all of these wait for a lock?"""
    pids = [connection.get_server_pid() for connection in connections]
    return await db.fetchval(
        "select count(*) = $2 from pg_stat_activity"
        " where pid = any ($1) and wait_event_type = 'Lock'",
        pids, len(pids),
    )  # fmt: skip


async def test_two_calls_that_bring_the_media_of_placeholders(db: Any, connect: Connect) -> None:
    placeholders = [message("media_placeholder", id=f"wamid.{n}") for n in (1, 2)]
    await receive(db, received(*placeholders))
    real = [message(id=one["id"]) for one in placeholders]
    first, second = await connect(), await connect()

    async with first.transaction():
        assert (await receive(first, received(*real)))["media_queued"] == 2
        late = asyncio.create_task(receive(second, received(*reversed(real))))
        await eventually(lambda: waiting(db, second))
    summary = await late

    assert (summary["duplicates"], summary["media_queued"]) == (2, 0)
    assert await db.fetchval("select count(*) from media") == 2
