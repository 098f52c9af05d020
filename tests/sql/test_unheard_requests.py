"""Attempts that end unheard count as refused, until the same request for the file is granted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    pause_row,
    queue_many,
    sha256,
)
from tests.sql.deaths import DEATHS, die_cancelled, die_stopped, unheard

SOURCE = "whatsapp:1"


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("die", DEATHS)
async def test_what_ends_unheard_may_have_been_refused(db: Any, die: Any, described: bool) -> None:
    """After nineteen nobody asks any more, be it what the file is or the file itself."""
    await queue_many(db, 60)
    asked = 0
    for _ in range(40):
        await make_due(db)
        await db.execute("update media_processing_queue set attempts = 0")
        for media, token in (await claim(db, 3)).items():
            asked += 1
            if described:
                await describe(db, media, token)
            await die(db, media, token)

    assert asked == 19
    pause = await pause_row(db)
    assert (pause["scope"], pause["reason"]) == (SOURCE, "whatsapp_refusals_spent")
    assert "refused 0 requests, and 19 more ended without an answer" in pause["detail"]
    assert timedelta(minutes=59) < pause["remaining"] <= timedelta(hours=1)


@pytest.mark.parametrize("die", DEATHS)
async def test_what_was_handed_out_was_not_refused(db: Any, die: Any) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await begin_upload(db, media, token, content_hash=sha256(b"x"))

    await die(db, media, token)

    assert await unheard(db) == 0


@pytest.mark.parametrize("answered", [describe, begin_upload])
async def test_what_was_heard_in_an_earlier_attempt_says_nothing_of_this_one(
    db: Any, answered: Any
) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    more = {"content_hash": sha256(b"x")} if answered is begin_upload else {}
    await answered(db, media, token, **more)
    await fail(db, media, token, source="storage", http_status=500)
    assert await unheard(db) == 0
    await make_due(db)
    token = (await claim(db))[media]

    await die_stopped(db, media, token)

    assert await unheard(db) == 1


@pytest.mark.parametrize("end", ["failed", "joined", "deduplicated", "rejected"])
async def test_a_verdict_is_no_silence(db: Any, end: str) -> None:
    media, other = await queue_many(db, 2)
    held = await claim(db)
    begun = await begin_upload(db, other, held[other], content_hash=sha256(b"x"))
    if end == "deduplicated":
        await finish_upload(db, other, held[other], begun["object_id"])
    if end == "failed":
        await fail(db, media, held[media], http_status=500)
    else:
        mime_type = "text/html" if end == "rejected" else "image/jpeg"
        described = await describe(db, media, held[media], sha256=sha256(b"x"), mime_type=mime_type)
        assert described["verdict"] == end

    assert await unheard(db) == 0


async def test_a_number_that_is_well_recovers_from_a_crash_of_everything(db: Any) -> None:
    """One file after the other shows that its own request was not refused."""
    await queue_many(db, 60)
    held = await claim(db)
    assert len(held) == 16
    for media in held:
        await expire_lease(db, media)
    at_once: list[int] = []
    for _ in range(8):
        claimed = await claim(db)
        at_once.append(len(claimed))
        for media, token in claimed.items():
            begun = await begin_upload(db, media, token, content_hash=sha256(media.bytes))
            await finish_upload(db, media, token, begun["object_id"])

    assert at_once == [1, 1, 2, 4, 8, 16, 16, 12]
    assert await unheard(db) == 0
    assert await pause_row(db) is None


async def test_what_ends_unheard_counts_for_its_own_number_alone(db: Any) -> None:
    await queue_many(db, 16, "1")
    for media, token in (await claim(db)).items():
        await die_cancelled(db, media, token)
    await queue_many(db, 25, "2")

    assert len(await claim(db)) == 16


async def test_after_an_hour_nothing_counts(db: Any) -> None:
    await queue_many(db, 30)
    for media, token in (await claim(db)).items():
        await die_stopped(db, media, token)
    await db.execute(
        "update media_unheard_requests set ended_at = ended_at - interval '61 minutes'"
    )

    assert len(await claim(db)) == 16

    await db.execute("select run_media_maintenance()")
    assert await unheard(db) == 0


async def test_an_operator_who_resumes_a_number_forgets_what_it_was_refused(db: Any) -> None:
    await queue_many(db, 30)
    for _ in range(4):
        for media, token in (await claim(db)).items():
            await die_stopped(db, media, token)
    assert await claim(db) == {}

    await db.execute("select resume_media_source($1)", SOURCE)

    assert len(await claim(db)) == 1  # the probe
    assert await unheard(db) == 0
