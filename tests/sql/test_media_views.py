"""The figures that people read: processing times, throughput, and the three views."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import claim, fail, queue_media, refused, sha256, store


async def stats(db: Any) -> dict[str, Any]:
    return json.loads(await db.fetchval("select get_media_storage_stats()"))


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [
        (0, 0),
        (0.5, 0),
        (1, 0),
        (1.01, 1),
        (1.19, 2),
        (2, 4),
        (1000, 40),
        (3_600_000, 88),
        (1e15, 200),
    ],
)
async def test_the_bucket_of_a_time(db: Any, milliseconds: float, bucket: int) -> None:
    taken = timedelta(milliseconds=milliseconds)
    found = await db.fetchval("select get_time_bucket($1)", taken)

    assert found == bucket
    if 0 < bucket < 200:
        assert 2 ** ((bucket - 1) / 4) < milliseconds <= 2 ** (bucket / 4)
    assert await db.fetchval("select get_time_bucket(null)") is None


async def took(db: Any, content: bytes, milliseconds: float) -> None:
    """An attachment that was stored so long after it was queued."""
    media = await queue_media(db)
    await db.execute(
        "update media_processing_queue set queued_at = now() - $2::interval where id = $1",
        media, timedelta(milliseconds=milliseconds),
    )  # fmt: skip
    token = (await claim(db))[media]
    begun = await db.fetchrow(
        "select * from begin_media_upload($1, 'poller-1', $2, $3, 1000, 'image/jpeg')",
        media, token, sha256(content),
    )  # fmt: skip
    await db.execute(
        "select finish_media_upload($1, 'poller-1', $2, $3)", media, token, begun["object_id"]
    )


async def test_percentiles_are_within_a_tenth(db: Any) -> None:
    for number in range(100):  # 10 s to 1,000 s
        await took(db, str(number).encode(), (number + 1) * 10_000)
    expected = {"p50": 500_000, "p95": 950_000, "p99": 990_000}

    for _ in range(2):  # before and after folding
        found = (await stats(db))["processing_ms"]
        assert found == {name: pytest.approx(ms, rel=0.1) for name, ms in expected.items()}
        report = await db.fetchrow("select * from media_daily_report")
        assert report["p50_ms"] == pytest.approx(500_000, rel=0.1)
        assert report["p95_ms"] == pytest.approx(950_000, rel=0.1)
        assert report["mean_ms"] == pytest.approx(505_000, rel=0.01)
        await db.execute("select fold_media_analytics()")


async def test_processing_times_are_those_of_a_week(db: Any) -> None:
    await took(db, b"x", 5000)
    await db.execute("select fold_media_analytics()")
    assert (await stats(db))["processing_ms"]["p50"] is not None

    await db.execute("update media_processing_times set date = date - 7")

    assert (await stats(db))["processing_ms"] == {"p50": None, "p95": None, "p99": None}


async def test_throughput_is_that_of_the_last_minute_hour_and_day(db: Any) -> None:
    for minutes in (3000, 300, 30):
        await store(db, sha256(str(minutes).encode()))
        await db.execute("select fold_media_analytics()")
        await db.execute(
            "update media_throughput set minute = minute - make_interval(mins => $1)"
            " where minute > now() - interval '5 minutes'",
            minutes,
        )
        await db.execute("delete from media_recent_throughput")
    await store(db, sha256(b"now"))

    found = (await stats(db))["throughput"]

    assert {name: of["files"] for name, of in found.items()} == {
        "last_minute": 1, "last_hour": 2, "last_day": 3,
    }  # fmt: skip
    assert found["last_day"]["bytes"] == 3000
    assert await db.fetchval("select prune_media_throughput()") == 1


async def test_what_was_known_at_once_took_no_time(db: Any) -> None:
    """It was never queued: neither the mean nor a percentile is of it."""
    await took(db, b"x", 8_000_000)
    for _ in range(9):
        await queue_media(db, sha256=sha256(b"x"))

    row = await db.fetchrow("select files, mean_ms, p50_ms from media_daily_report")

    assert row["files"] == 10
    assert row["mean_ms"] == pytest.approx(8_000_000, rel=0.1)
    assert row["p50_ms"] == pytest.approx(8_000_000, rel=0.1)


async def test_the_daily_report(db: Any, connect: Connect) -> None:
    await store(db, sha256(b"x"))
    await queue_media(db, sha256=sha256(b"x"), media_type="image")
    gone = await queue_media(db)
    await fail(db, gone, (await claim(db))[gone], code="100")
    await db.execute("select retry_media($1)", gone)
    await db.execute("select delete_media($1)", gone)
    admin = await connect("media_admin")

    (row,) = await admin.fetch("select * from media_daily_report where media_type = 'image'")

    assert (row["files"], row["unique_files"], row["deduplicated_files"]) == (2, 1, 1)
    assert (row["bytes"], row["saved_bytes"], float(row["saved_share"])) == (2000, 1000, 0.5)
    unknown = await admin.fetchrow("select * from media_daily_report where media_type = 'unknown'")
    counted = row if unknown is None else unknown
    assert (counted["failed_files"], counted["retried_files"]) == (1, 1)
    assert counted["deleted_files"] == 1


async def test_the_health_of_the_queue(db: Any, connect: Connect) -> None:
    for number in ("1", "1", "2"):
        await queue_media(db, phone_number_id=number)
    await db.execute("select pause_media_source('whatsapp:2', 'moving')")
    admin = await connect("media_admin")

    rows = await admin.fetch("select * from media_queue_health order by source")

    found = [(row["source"], row["status"], row["jobs"], row["due"]) for row in rows]
    assert found == [("whatsapp:1", "pending", 2, 2), ("whatsapp:2", "pending", 1, 1)]
    assert [row["paused_for"] for row in rows] == [None, "moving"]


async def test_failures_by_reason(db: Any, connect: Connect) -> None:
    for _ in range(2):
        await queue_media(db, message_type="video", media_type="video")
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="100", text="gone")
    admin = await connect("media_admin")

    (row,) = await admin.fetch("select * from media_failures")

    assert (row["failure_code"], row["media_type"], row["files"]) == (
        "media_expired_or_foreign", "video", 2,
    )  # fmt: skip
    assert row["last_text"].startswith("gone")


async def test_the_last_minute_has_sixty_seconds(db: Any) -> None:
    for seconds in (30, 75, 100, 200):
        await store(db, sha256(str(seconds).encode()))
        await db.execute(
            "update media_analytics_deltas set at = at - make_interval(secs => $1)"
            " where at > now() - interval '9 s'",
            seconds,
        )

    for _ in range(2):  # before and after folding
        found = (await stats(db))["throughput"]
        assert [found[span]["files"] for span in ("last_minute", "last_hour")] == [1, 4]
        await db.execute("select fold_media_analytics()")
    assert await db.fetchval("select count(*) from media_recent_throughput") == 3
    await db.execute("update media_recent_throughput set second = second - interval '100 s'")
    await db.execute("select prune_media_throughput()")
    assert await db.fetchval("select count(*) from media_recent_throughput") == 0


async def test_dashboards_read_the_views_as_readers(db: Any, connect: Connect) -> None:
    await store(db, sha256(b"x"))
    failed = await queue_media(db, media_type="image")
    await fail(db, failed, (await claim(db))[failed], code="100")
    reader = await connect("media_reader")

    report = await reader.fetchrow("select files, failed_files from media_daily_report")
    assert tuple(report) == (1, 1)
    assert await reader.fetchval("select jobs from media_queue_health") == 1
    assert await reader.fetchval("select files from media_failures") == 1
    assert (await stats(reader))["files"] == 1


@pytest.mark.parametrize("view", ["media_daily_report", "media_queue_health", "media_failures"])
async def test_only_operators_read_the_views(connect: Connect, view: str) -> None:
    for role in ("media_client", "media_poller"):
        with refused("42501", view):
            await (await connect(role)).fetch(f"select * from {view}")
