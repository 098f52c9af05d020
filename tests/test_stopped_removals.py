"""A poller that is told to stop while it removes files: the call under way ends, the rest is given
back, and nothing waits for a lease."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import PollerProcess, StartPoller
from tests.helpers import queue_media

ROWS = """
    select bucket_name, status, attempts, claimed_by, lease_until
    from media_deletion_queue
    order by bucket_name
"""
LONG = {"PGMEDIA_GRACE_SECONDS": "100", "PGMEDIA_TIMEOUT_SECONDS": "100"}


@pytest.fixture
async def stall(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> Fault:
    """Files to remove in three buckets; storage keeps still at the first call."""
    for sample in SAMPLES:
        await queue_media(
            db, whatsapp.add_media(sample.read(), sample.mime_type),
            media_type=sample.media_type, mime_type=sample.mime_type,
        )  # fmt: skip
    assert await (await start_poller("--drain")).ended() == 0
    await db.execute("select delete_media(id) from media")
    await db.execute("update media_deletion_queue set due_at = now()")
    fault = Fault.stall()
    storage.faults.once("remove", fault)
    return fault


async def stopped(poller: PollerProcess, fault: Fault, times: int) -> None:
    """Told to stop, so often, while storage keeps still."""
    await fault.reached.wait()
    for _ in range(times):
        poller.process.send_signal(signal.SIGTERM)
        await poller.logged("stopping; once more to stop at once")  # the first has been heard


async def test_the_call_under_way_ends_and_the_rest_is_given_back(
    db: Any, storage: StorageApi, stall: Fault, start_poller: StartPoller
) -> None:
    buckets = [row["bucket_name"] for row in await db.fetch(ROWS)]
    first, others = buckets[0], [one for one in buckets if one != buckets[0]]
    assert len(set(others)) >= 2
    poller = await start_poller(**LONG)
    await stopped(poller, stall, 1)
    held = await db.fetch(ROWS)
    assert {row["status"] for row in held} == {"processing"}

    stall.released.set()

    assert await poller.ended() == 0
    rows = await db.fetch(ROWS)
    assert [row["bucket_name"] for row in rows] == others
    for row in rows:
        assert tuple(row)[1:] == ("pending", 0, None, None)
    assert {one.partition("/")[0] for one in storage.removed} == {first}
    assert f"giving back {len(others)} files to remove" in poller.log.read_text()


async def test_told_twice_it_gives_all_of_it_back_at_once(
    db: Any, stall: Fault, start_poller: StartPoller
) -> None:
    poller = await start_poller(**LONG)
    await stopped(poller, stall, 2)

    assert await poller.ended() == 0

    rows = await db.fetch(ROWS)
    assert {tuple(row)[1::2] for row in rows} == {("pending", None)}
    begun = {row["bucket_name"]: row["attempts"] for row in rows}
    assert begun == {name: int(name == rows[0]["bucket_name"]) for name in begun}
    stall.released.set()
    assert await (await start_poller("--drain")).ended() == 0
    assert await db.fetch(ROWS) == []


async def test_after_the_grace_time_it_gives_all_of_it_back(
    db: Any, stall: Fault, start_poller: StartPoller
) -> None:
    poller = await start_poller(**LONG | {"PGMEDIA_GRACE_SECONDS": "0.2"})
    await stopped(poller, stall, 1)

    assert await poller.ended() == 0

    assert {row["status"] for row in await db.fetch(ROWS)} == {"pending"}
    stall.released.set()


async def test_a_drain_that_is_stopped(db: Any, stall: Fault, start_poller: StartPoller) -> None:
    poller = await start_poller("--drain", **LONG)
    await stopped(poller, stall, 2)

    assert await poller.ended() == 0

    assert {row["status"] for row in await db.fetch(ROWS)} == {"pending"}
    stall.released.set()
