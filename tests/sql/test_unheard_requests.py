"""Attempts that end without an answer of WhatsApp count as refused, until it answers others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    POLLER,
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

SOURCE = "whatsapp:1"


async def die_killed(db: Any, media: UUID, _: int) -> None:
    await expire_lease(db, media)
    await db.execute("select rescue_media_jobs()")


async def die_stopped(db: Any, media: UUID, token: int) -> None:
    await db.execute(
        "select release_media_jobs($1, array[$2::uuid], array[$3::integer])", POLLER, media, token
    )


async def die_cancelled(db: Any, media: UUID, _: int) -> None:
    await db.execute("select cancel_media($1)", media)


async def die_deleted(db: Any, media: UUID, _: int) -> None:
    await db.execute(
        "delete from messages where id = (select message_id from media where id = $1)", media
    )


async def die_puzzled(db: Any, media: UUID, token: int) -> None:
    await fail(db, media, token, source="poller", text="unexpected KeyError")


DEATHS = [die_killed, die_stopped, die_cancelled, die_deleted, die_puzzled]


async def unheard(db: Any) -> int:
    return await db.fetchval("select count(*) from media_unheard_requests")


@pytest.mark.parametrize("die", DEATHS)
async def test_what_ends_unheard_may_have_been_refused(db: Any, die: Any) -> None:
    """No answer is ever heard, from the first request on: after seventeen nobody asks any more."""
    await queue_many(db, 60)
    asked = 0
    for _ in range(40):
        await make_due(db)
        await db.execute("update media_processing_queue set attempts = 0")
        for media, token in (await claim(db, 3)).items():
            asked += 1
            await die(db, media, token)

    assert asked == 17
    pause = await pause_row(db)
    assert (pause["scope"], pause["reason"]) == (SOURCE, "whatsapp_refusals_spent")
    assert "refused 0 requests, and 17 more ended without an answer" in pause["detail"]
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
    """The first file that is handed out shows that nothing was refused."""
    await queue_many(db, 60)
    held = await claim(db)
    assert len(held) == 16
    for media in held:
        await expire_lease(db, media)
    at_once: list[int] = []
    for _ in range(5):
        claimed = await claim(db)
        at_once.append(len(claimed))
        for media, token in claimed.items():
            begun = await begin_upload(db, media, token, content_hash=sha256(media.bytes))
            await finish_upload(db, media, token, begun["object_id"])

    assert at_once == [1, 16, 16, 16, 11]
    assert await unheard(db) == 0
    assert await pause_row(db) is None


@pytest.mark.parametrize("die", DEATHS)
async def test_a_number_that_answers_is_never_slowed_by_pollers_that_die(db: Any, die: Any) -> None:
    """They die again and again with all they have in work, after WhatsApp said what it is."""
    await queue_many(db, 60)
    for _ in range(3):
        await make_due(db)
        held = await claim(db)
        assert len(held) == 16
        for media, token in held.items():
            await describe(db, media, token)
        for media, token in held.items():
            await die(db, media, token)

    assert await unheard(db) == 0
    assert await pause_row(db) is None


async def test_other_work_of_a_number_clears_what_nobody_heard_of(db: Any) -> None:
    """Also when what was in work never comes again."""
    await queue_many(db, 40)
    for media, token in (await claim(db)).items():
        await die_cancelled(db, media, token)
    assert await unheard(db) == 16
    ((media, token),) = (await claim(db)).items()

    await describe(db, media, token, mime_type="text/html")

    assert await unheard(db) == 0


async def test_an_answer_from_before_clears_nothing(db: Any) -> None:
    early, late = await queue_many(db, 2)
    held = await claim(db)
    await die_stopped(db, late, held[late])

    await describe(db, early, held[early])

    assert await unheard(db) == 1


async def test_a_number_that_answers_clears_nothing_of_another(db: Any) -> None:
    (media,) = await queue_many(db, 1, "1")
    token = (await claim(db))[media]
    await die_cancelled(db, media, token)
    (other,) = await queue_many(db, 1, "2")
    token = (await claim(db))[other]

    await describe(db, other, token)
    await begin_upload(db, other, token, content_hash=sha256(b"x"))

    assert await unheard(db) == 1


async def test_what_ends_unheard_counts_for_its_own_number_alone(db: Any) -> None:
    await queue_many(db, 16, "1")
    for media, token in (await claim(db)).items():
        await die_cancelled(db, media, token)
    await queue_many(db, 25, "2")

    assert len(await claim(db)) == 16


async def test_a_number_that_refuses_others_proves_nothing_by_one_file(db: Any) -> None:
    first, second = await queue_many(db, 2)
    token = (await claim(db, 1))[first]
    await die_stopped(db, first, token)
    held = await claim(db)
    await fail(db, second, held[second], code="100", http_status=400)

    await begin_upload(db, first, held[first], content_hash=sha256(b"x"))

    assert await unheard(db) == 1


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


async def test_the_answer_to_one_number_says_nothing_of_another(db: Any) -> None:
    await queue_many(db, 2)
    await queue_many(db, 1, "2")
    for media, token in (await claim(db)).items():
        await die_stopped(db, media, token)
    (well,) = await queue_many(db, 1, "2")
    held = await claim(db)

    await describe(db, well, held[well])

    rows = await db.fetch("select source from media_unheard_requests")
    assert [row["source"] for row in rows] == [SOURCE, SOURCE]


async def test_an_operator_who_resumes_a_number_forgets_what_it_was_refused(db: Any) -> None:
    await queue_many(db, 30)
    for _ in range(2):
        for media, token in (await claim(db)).items():
            await die_stopped(db, media, token)
    assert await claim(db) == {}

    await db.execute("select resume_media_source($1)", SOURCE)

    assert len(await claim(db)) == 1  # the probe
    assert await unheard(db) == 0
