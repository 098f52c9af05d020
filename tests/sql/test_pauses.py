"""How pauses grow, and how one job probes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    blocked,
    claim,
    describe,
    end_pauses,
    fail,
    finish_upload,
    pause_row,
    queue_many,
    queue_row,
    refuse_one,
    sha256,
)


async def test_a_pause_that_is_confirmed_doubles_up_to_the_most(db: Any) -> None:
    await queue_many(db, 1)
    lengths: list[timedelta] = []
    for _ in range(6):
        await refuse_one(db)
        lengths.append((await pause_row(db))["remaining"])
        await end_pauses(db)

    minutes = [round(length.total_seconds() / 60) for length in lengths]
    assert minutes == [5, 10, 20, 40, 60, 60]


async def test_failures_of_jobs_in_work_are_no_strikes(db: Any) -> None:
    await queue_many(db, 5)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="190", http_status=401)

    assert (await pause_row(db))["strikes"] == 1


async def test_one_job_probes_and_its_success_frees_all(db: Any) -> None:
    await queue_many(db, 5)
    await refuse_one(db)
    assert await claim(db) == {}
    await end_pauses(db)

    ((media, token),) = (await claim(db)).items()
    assert await claim(db) == {}  # the probe is out
    await describe(db, media, token)

    assert await pause_row(db) is None
    assert len(await claim(db)) == 4


async def test_storage_probes_with_one_job_of_all_sources(db: Any) -> None:
    await queue_many(db, 2, "1")
    await queue_many(db, 2, "2")
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, source="storage", http_status=503)
    assert await claim(db) == {}
    await end_pauses(db)

    ((media, token),) = (await claim(db)).items()
    assert await claim(db) == {}
    begun = await begin_upload(db, media, token, content_hash=sha256(b"1"))
    assert (await pause_row(db))["scope"] == "storage"  # nothing is proven yet
    await finish_upload(db, media, token, begun["object_id"])

    assert len(await claim(db)) == 3


async def test_two_pollers_do_not_both_probe(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    await queue_many(db, 2, "1")
    await queue_many(db, 2, "2")
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, source="storage", http_status=503)
    await end_pauses(db)

    async with one.transaction():
        assert len(await claim(one, 10, "one")) == 1
        second = asyncio.create_task(claim(two, 10, "two"))
        await blocked(db, two)

    assert await second == {}


async def test_a_file_that_keeps_pausing_a_source_that_works_is_at_fault(db: Any) -> None:
    (bad,) = await queue_many(db, 1)
    for _ in range(12):
        held = await claim(db)
        await fail(db, bad, held[bad], code="10", http_status=403)
        await end_pauses(db)
        await db.execute("delete from media_pauses")  # others were served meanwhile

    held = await claim(db)
    verdict = await fail(db, bad, held[bad], code="10", http_status=403)

    assert (verdict["verdict"], verdict["failure_code"]) == ("failed", "whatsapp_permission_lost")
    assert (await queue_row(db, bad))["status"] == "failed"


async def test_after_a_pause_another_job_probes_than_the_one_that_failed(db: Any) -> None:
    await queue_many(db, 2)
    ((first, token),) = (await claim(db, 1)).items()
    await fail(db, first, token, code="10", http_status=403)
    await db.execute("update media_pauses set until = now()")

    assert first not in await claim(db)


async def test_a_poller_at_fault_rests_and_leaves_the_job_to_others(db: Any) -> None:
    (media,) = await queue_many(db, 1)
    held = await claim(db, poller="full")
    await fail(db, media, held[media], poller="full", source="poller", code="spool_full")

    assert await claim(db, poller="full") == {}
    assert list(await claim(db, poller="other")) == [media]

    await end_pauses(db)
    await claim(db, poller="full")
    assert await pause_row(db) is None  # its next one is no repetition


@pytest.mark.parametrize("source", ["whatsapp", "storage"])
async def test_a_poller_that_cannot_connect_does_not_stop_the_others(db: Any, source: str) -> None:
    await queue_many(db, 3)
    ((media, token),) = (await claim(db, 1, poller="cut off")).items()

    verdict = await fail(db, media, token, poller="cut off", source=source, code="unreachable")

    assert verdict["verdict"] == "paused"
    assert await claim(db, poller="cut off") == {}
    assert len(await claim(db, poller="good")) == 3
    assert (await queue_row(db, media))["attempts"] == 1


async def test_a_probe_does_not_wait_for_work_from_before_the_pause(db: Any) -> None:
    await queue_many(db, 5)
    slow, failing = list((await claim(db, 2)).items())
    await db.execute("update media_processing_queue set claimed_at = now() - interval '1 h'")
    await fail(db, failing[0], failing[1], code="190", http_status=401)
    await end_pauses(db)

    assert len(await claim(db)) == 1
    assert await claim(db) == {}  # the probe is out
    assert (await queue_row(db, slow[0]))["status"] == "processing"


async def test_the_probe_of_storage_does_not_wait_for_work_from_before_the_pause(db: Any) -> None:
    await queue_many(db, 3, "1")
    await queue_many(db, 3, "2")
    _slow, failing = list((await claim(db, 2)).items())
    await db.execute("update media_processing_queue set claimed_at = now() - interval '1 h'")
    await fail(db, failing[0], failing[1], source="storage", http_status=503)
    await end_pauses(db)

    assert len(await claim(db)) == 1
    assert await claim(db) == {}


async def test_the_reason_is_that_of_whoever_set_the_end(db: Any) -> None:
    await queue_many(db, 3)
    held = list((await claim(db)).items())
    await db.execute("select pause_media_source('whatsapp:1', 'moving house', '1 hour')")

    await fail(db, *held[0], code="190", http_status=401)  # 5 minutes

    assert (await pause_row(db))["reason"] == "moving house"
    await fail(db, *held[1], code="4", http_status=400, retry_after=7200)
    assert (await pause_row(db))["reason"] == "whatsapp_rate_limited"
    await db.execute("select pause_media_source('whatsapp:1', 'still moving', '1 hour')")
    assert (await pause_row(db))["reason"] == "whatsapp_rate_limited"
