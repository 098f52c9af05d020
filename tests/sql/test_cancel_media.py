"""cancel_media, retry_media and retry_failed_media: what operators do about attachments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import (
    claim,
    events,
    fail,
    media_row,
    queue_many,
    queue_media,
    sha256,
    status,
)


@pytest.mark.parametrize("state", ["pending", "processing", "waiting"])
async def test_cancelled_media_are_worked_on_no_more(db: Any, state: str) -> None:
    leader = await queue_media(db, sha256=sha256(b"x"))
    media = leader
    if state == "processing":
        await claim(db)
    if state == "waiting":
        media = await queue_media(db, sha256=sha256(b"x"))
    assert (await status(db, media))["status"] == state

    assert await db.fetchval("select cancel_media($1)", media) is True
    assert await db.fetchval("select cancel_media($1)", media) is False

    assert (await status(db, media))["status"] == "cancelled"
    assert (await media_row(db, media))["failure_code"] == "cancelled"
    assert media not in await claim(db)
    assert (await events(db, media))[-1] == "cancelled"


async def test_who_waited_for_a_cancelled_one_goes_on(db: Any) -> None:
    leader = await queue_media(db, sha256=sha256(b"x"))
    waiting = await queue_media(db, sha256=sha256(b"x"))

    await db.execute("select cancel_media($1)", leader)

    assert list(await claim(db)) == [waiting]


async def test_retried_media_have_all_their_attempts(db: Any) -> None:
    media = await queue_media(db)
    held = await claim(db)
    await fail(db, media, held[media], code="131051")
    assert (await status(db, media))["status"] == "failed"

    assert await db.fetchval("select retry_media($1)", media) is True
    assert await db.fetchval("select retry_media($1)", media) is False

    after = await status(db, media)
    assert (after["status"], after["attempts"], after["error_code"]) == ("pending", 0, None)
    assert list(await claim(db)) == [media]


async def test_retry_of_many_by_reason_time_and_number(db: Any) -> None:
    expired = await queue_many(db, 3)
    lost = await queue_many(db, 1)
    held = await claim(db)
    for media in expired:
        await fail(db, media, held[media], code="100", http_status=400)
    await fail(db, lost[0], held[lost[0]], code="131052")
    await db.execute(
        "update media set failed_at = now() - interval '1 day' where id = $1", expired[0]
    )
    call = "select retry_failed_media(code => $1, since => now() - $2::interval, at_most => $3)"
    hour, week = timedelta(hours=1), timedelta(days=7)

    assert await db.fetchval(call, "nonsense", week, 10) == 0
    assert await db.fetchval(call, "media_expired_or_foreign", hour, 1) == 1
    assert await db.fetchval(call, "media_expired_or_foreign", hour, 10) == 1
    assert await db.fetchval("select retry_failed_media()") == 2


async def test_a_retry_has_as_many_attempts_as_the_settings_allow_now(db: Any) -> None:
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code="131051")
    await db.execute("update media_settings set max_attempts = 40")

    await db.execute("select retry_media($1)", media)

    assert (await status(db, media))["max_attempts"] == 40
