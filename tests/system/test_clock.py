"""A poller on a machine whose clock jumps. Needs Debian's faketime; run by .ci/run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import events, eventually, queue_media

(LIBRARY,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
MEMORY = Path("/dev/shm")  # noqa: S108 - faketime makes files with the number of the process


@pytest.fixture(autouse=True)
def remove_leftovers() -> Iterator[None]:
    """Remove the shared memory of processes that were killed, of this run or an earlier one."""
    yield
    for path in MEMORY.glob("*faketime_s[eh]m_*"):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            with contextlib.suppress(OSError):
                path.unlink()


@pytest.mark.parametrize("days", [1, -1])
async def test_a_poller_whose_clock_jumps_by_a_day(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller, tmp_path: Path,
    days: int,
) -> None:  # fmt: skip
    """In the middle of a download, with a lease to renew, a retry and new work after it."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    await db.execute("update media_settings set lease = '3 seconds', backoff_first = '10 ms'")
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))
    poller = await start_poller(
        LD_PRELOAD=str(LIBRARY), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", PGMEDIA_TIMEOUT_SECONDS="100",
    )  # fmt: skip
    await stall.reached.wait()

    clock.write_text(f"{days:+}d")
    first = await db.fetchval("select lease_until from media_processing_queue")
    later = "select lease_until > $1::timestamptz + $2 from media_processing_queue"
    await eventually(lambda: db.fetchval(later, first, timedelta(seconds=2)))
    stall.released.set()
    await stored(db, media)
    assert await events(db, media) == ["queued", "claimed", "stored"]

    whatsapp.faults.once("metadata", Fault(500, "<html>oops"))
    second = await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], 1), "image/jpeg"))
    await stored(db, second)
    clock.write_text("+0")
    third = await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], 2), "image/jpeg"))
    await stored(db, third)

    assert storage.uploads.total() == 3
    day = str((await db.fetchval("select now() + make_interval(days => $1)", days)).date())
    assert day in poller.log.read_text()  # its clock did jump


async def stored(db: Any, media: Any) -> None:
    await eventually(lambda: db.fetchval("select processed from media where id = $1", media))
