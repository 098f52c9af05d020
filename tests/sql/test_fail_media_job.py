"""fail_media_job: a report and what comes of it; retry with backoff, a dead letter, or a pause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import (
    POLLER,
    claim,
    events,
    fail,
    make_due,
    queue_media,
    queue_row,
    status,
)


async def due_in(db: Any, media: Any) -> timedelta:
    return await db.fetchval(
        "select due_at - now() from media_processing_queue where id = $1", media
    )


async def pause_left(db: Any, scope: str) -> timedelta | None:
    return await db.fetchval("select until - now() from media_pauses where scope = $1", scope)


async def test_the_text_says_what_the_provider_said(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    await fail(db, media, token, code="131000", http_status=500, text="Something went wrong")

    row = await status(db, media)
    assert row["error_code"] == "whatsapp_unavailable"
    assert row["error_text"] == "Something went wrong (code 131000, http 500)"
    trail = await db.fetch("select * from get_media_audit_trail($1)", media)
    assert (trail[-1]["event"], trail[-1]["attempt"], trail[-1]["poller"]) == (
        "attempt failed", 1, POLLER,
    )  # fmt: skip


async def test_a_long_text_is_cut(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    await fail(db, media, token, text="x" * 100_000)

    assert len((await status(db, media))["error_text"]) == 2000


async def test_the_backoff_doubles_and_is_capped_and_jittered(db: Any) -> None:
    await db.execute("update media_settings set max_attempts = 100")
    media = await queue_media(db)
    seen: set[float] = set()
    for attempt in range(1, 100):
        token = (await claim(db))[media]
        found = await fail(db, media, token)
        assert found["verdict"] == "retry"
        assert found["due_at"] == (await queue_row(db, media))["due_at"]
        full = min(timedelta(seconds=5) * 2 ** min(attempt - 1, 20), timedelta(hours=1))
        waits = await due_in(db, media)
        assert full / 2 - timedelta(seconds=5) < waits <= full
        if full == timedelta(hours=1):
            seen.add(waits.total_seconds())
        await make_due(db)
    assert max(seen) - min(seen) > 60  # they do not all come back at once

    assert (await fail(db, media, (await claim(db))[media]))["verdict"] == "failed"
    row = await queue_row(db, media)
    assert (row["status"], row["attempts"], row["max_attempts"]) == ("failed", 100, 100)


async def test_the_jitter_is_at_least_half(db: Any) -> None:
    await db.execute("update media_settings set backoff_first = '1000 s'")
    waits: list[float] = []
    for _ in range(30):
        await queue_media(db)
    for media, token in (await claim(db)).items():
        await fail(db, media, token)
        waits.append((await due_in(db, media)).total_seconds())

    assert 490 < min(waits) < 700
    assert 800 < max(waits) <= 1000


@pytest.mark.parametrize(
    ("retry_after", "least", "most"), [(600.0, 595, 600), (0.5, 0, 5), (-5.0, 0, 5), (None, 0, 5)]
)
async def test_retry_after_is_honoured(
    db: Any, retry_after: float | None, least: int, most: int
) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    await fail(db, media, token, http_status=503, retry_after=retry_after)

    waits = await due_in(db, media)
    assert timedelta(seconds=least) <= waits <= timedelta(seconds=most)


@pytest.mark.parametrize("retry_after", [1e9, 1e300, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("http_status", [429, 500])
async def test_an_absurd_retry_after_is_at_most_a_day(
    db: Any, retry_after: float, http_status: int
) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    found = await fail(db, media, token, http_status=http_status, retry_after=retry_after)

    assert found["due_at"] - await db.fetchval("select now()") <= timedelta(days=1)


async def test_the_last_attempt_is_the_last(db: Any) -> None:
    media = await queue_media(db)
    found: Any = None
    for attempt in range(1, 13):
        found = await fail(db, media, (await claim(db))[media], http_status=500)
        assert found["verdict"] == ("retry" if attempt < 12 else "failed")
        await make_due(db)

    assert found["due_at"] is None
    assert await claim(db) == {}
    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("failed", "whatsapp_unavailable")
    assert (await events(db, media))[-2:] == ["claimed", "failed"]
    assert await db.fetchval("select sum(failed_files) from media_analytics_deltas") == 1


async def test_a_pause_is_of_the_source_and_spends_no_attempt(db: Any) -> None:
    media = await queue_media(db, phone_number_id="1")
    for token in range(1, 9):  # more often than there are attempts
        assert await claim(db) == {media: token}
        assert (await fail(db, media, token, code="190"))["verdict"] == "paused"
        assert await claim(db) == {}
        other = await queue_media(db, phone_number_id="2")
        assert list(await claim(db)) == [other]
        await db.execute("select resume_media_source('whatsapp:1')")

    assert (await queue_row(db, media))["attempts"] == 0
    assert (await events(db, media))[-2:] == ["claimed", "released"]


async def test_how_long_a_pause_lasts(db: Any) -> None:
    media = await queue_media(db, phone_number_id="1")
    held = await claim(db)
    found = await fail(db, media, held[media], code="130429", retry_after=5)
    left = await pause_left(db, "whatsapp:1")
    assert left is not None
    assert timedelta(seconds=55) < left <= timedelta(minutes=1)  # the rule's, as it is longer
    assert found["due_at"] == await db.fetchval("select until from media_pauses")

    await db.execute("delete from media_pauses")
    await make_due(db)
    await fail(db, media, (await claim(db))[media], code="130429", retry_after=120)
    left = await pause_left(db, "whatsapp:1")
    assert left is not None
    assert timedelta(seconds=115) < left <= timedelta(minutes=2)


async def test_a_pause_is_extended_and_never_shortened(db: Any) -> None:
    media, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await fail(db, media, held[media], code="10")  # 15 minutes
    await fail(db, second, held[second], code="130429")  # 1 minute

    left = await pause_left(db, "whatsapp:default")

    assert left is not None
    assert left > timedelta(minutes=14)


async def test_a_storage_failure_pauses_the_storage_for_everyone(db: Any) -> None:
    media = await queue_media(db, phone_number_id="1")
    await queue_media(db, phone_number_id="2")
    held = await claim(db, 1)

    await fail(db, media, held[media], source="storage", http_status=503)

    assert await pause_left(db, "storage") is not None
    assert await pause_left(db, "whatsapp:1") is None
    assert await claim(db) == {}
