"""get_media_storage_stats: what operators look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.helpers import (
    add_message,
    claim,
    fail,
    make_due,
    queue_media,
    sha256,
    store,
)
from tests.sql.media_history import fold, stats


async def test_an_empty_store(db: Any) -> None:
    found = await stats(db)

    assert datetime.fromisoformat(found.pop("at")).tzinfo
    assert datetime.fromisoformat(found["webhook"].pop("since")).tzinfo
    assert found == {
        "files": 0, "bytes": 0, "unique_files": 0, "deduplicated_files": 0, "saved_bytes": 0,
        "saved_share": 0, "failed_files": 0, "retried_files": 0, "deleted_files": 0,
        "deleted_bytes": 0, "lost_files": 0, "stored_files": 0, "stored_bytes": 0,
        "by_type": {}, "by_bucket": {}, "throughput": {
            span: {"files": 0, "bytes": 0, "failed_files": 0}
            for span in ("last_minute", "last_hour", "last_day")
        }, "processing_ms": {"p50": None, "p95": None, "p99": None},
        "queue": {}, "oldest_due_seconds": 0,
        "failures": {}, "last_failures": [], "codes": {},
        "quarantine": {"files": 0, "bytes": 0, "refusals": 0},
        "deletions": 0, "deletions_overdue": 0,
        "unfolded": 0,
        "webhook": {"refusals": {}, "calls_with_errors": 0, "errors": {}},
        "pauses": [], "pollers": 0, "pollers_alive": [],
    }  # fmt: skip


async def test_a_heartbeat_counts_the_poller(db: Any) -> None:
    lease = await db.fetchval("select heartbeat_media_poller('one', '1.0', 'listen', 3)")

    assert lease == 60
    assert (await stats(db))["pollers"] == 1
    await db.execute("update media_pollers set seen_at = now() - interval '10 minutes'")
    assert (await stats(db))["pollers"] == 0
    await db.execute("select heartbeat_media_poller('two', '1.0', 'poll', 0)")
    assert (await stats(db))["pollers"] == 1
    await db.execute("select leave_media_poller('two')")
    assert (await stats(db))["pollers"] == 0


async def test_what_operators_look_at(db: Any) -> None:
    await queue_media(db, phone_number_id="1")
    await db.execute("update media_processing_queue set due_at = now() - interval '90 s'")
    await db.execute("select pause_media_source('whatsapp:1', 'moving')")
    await db.execute("select delete_media($1)", await store(db, sha256(b"x")))

    found = await stats(db)

    assert found["queue"] == {"pending": 1}
    assert 90 <= found["oldest_due_seconds"] < 120
    assert found["deletions"] == 1
    assert [(pause["scope"], pause["reason"]) for pause in found["pauses"]] == [
        ("whatsapp:1", "moving")
    ]


async def test_pauses_say_how_often_and_whether_they_still_run(db: Any) -> None:
    await queue_media(db, phone_number_id="1")
    for _ in range(2):
        await db.execute("update media_pauses set until = now() - interval '1 s'")
        await make_due(db)
        ((media, token),) = (await claim(db)).items()
        await fail(db, media, token, code="190", http_status=401, text="token expired")

    (pause,) = (await stats(db))["pauses"]

    assert (pause["scope"], pause["reason"]) == ("whatsapp:1", "whatsapp_token_refused")
    assert (pause["strikes"], pause["state"]) == (2, "paused")
    assert pause["detail"] == "token expired (code 190, http 401)"
    await db.execute("update media_pauses set until = now()")
    (pause,) = (await stats(db))["pauses"]
    assert pause["state"] == "probing"


async def test_failures_by_code_and_the_last_of_them(db: Any) -> None:
    dead: list[str] = []
    for number in range(7):
        media = await queue_media(db)
        code = "100" if number % 3 else "131052"
        await fail(db, media, (await claim(db))[media], code=code, text=f"reason {number}")
        dead.append(str(media))

    found = await stats(db)

    assert list(found["failures"].items()) == [
        ("media_expired_or_foreign", 4), ("media_lost_by_whatsapp", 3),
    ]  # fmt: skip
    assert [one["id"] for one in found["last_failures"]] == dead[:1:-1]
    assert found["last_failures"][0]["code"] == "media_lost_by_whatsapp"
    assert found["last_failures"][0]["text"] == "reason 6 (code 131052)"
    await db.execute("select retry_media($1)", UUID(dead[0]))
    after = await stats(db)
    assert after["failures"]["media_lost_by_whatsapp"] == 2
    assert after["last_failures"] == found["last_failures"]  # they did happen


async def test_deletions_are_overdue_after_a_lease(db: Any) -> None:
    await db.execute("select delete_media($1)", await store(db, sha256(b"x")))
    assert (await stats(db))["deletions_overdue"] == 0

    await db.execute("update media_deletion_queue set due_at = now() - interval '61 seconds'")

    found = await stats(db)
    assert (found["deletions"], found["deletions_overdue"]) == (1, 1)


async def test_the_pollers_alive(db: Any) -> None:
    await db.execute("select heartbeat_media_poller('one', '1.0', 'listen', 3)")
    await db.execute("select heartbeat_media_poller('two', '1.1', 'poll', 0)")

    found = (await stats(db))["pollers_alive"]

    assert [(one["poller"], one["version"], one["mode"], one["in_flight"]) for one in found] == [
        ("one", "1.0", "listen", 3), ("two", "1.1", "poll", 0),
    ]  # fmt: skip
    assert all(datetime.fromisoformat(one["seen_at"]) for one in found)


async def test_what_is_stored_now(db: Any) -> None:
    first = await store(db, sha256(b"x"))
    await queue_media(db, sha256=sha256(b"x"), media_type="image")
    await queue_media(db)  # not stored
    figures = ("files", "bytes", "stored_files", "stored_bytes", "deleted_files", "deleted_bytes")

    async def found() -> list[int]:
        (image,) = (await stats(db))["by_type"].values()
        return [image[name] for name in figures]

    assert await found() == [2, 2000, 2, 2000, 0, 0]
    await db.execute("select delete_media($1)", first)
    assert await found() == [2, 2000, 1, 1000, 1, 1000]


async def test_what_was_stored_before_it_was_counted(db: Any) -> None:
    """As an upgrade finds it: rows, and figures without the new columns."""
    for content in (b"x", b"y", b"z"):
        await store(db, sha256(content))
    await fold(db)
    await db.execute("update media_analytics set stored_files = 0, stored_bytes = 0")
    await db.execute("update media_maintenance set stored_counted = false")
    await db.execute("select delete_media($1)", await store(db, sha256(b"w")))

    await db.execute("select count_stored_media()")

    image = (await stats(db))["by_type"]["image"]
    assert (image["stored_files"], image["stored_bytes"]) == (3, 3000)
    await db.execute("update media_analytics set stored_files = 7")
    await db.execute("delete from media_analytics_deltas")
    await db.execute("select count_stored_media()")  # it is done once
    assert (await stats(db))["stored_files"] == 7


async def test_dead_letters_are_counted_up_to_a_bound(db: Any) -> None:
    for number in range(5):
        media = await queue_media(db)
        code = "131052" if number else "100"
        await fail(db, media, (await claim(db))[media], code=code)
    for _ in range(3):
        await db.execute("select cancel_media($1)", await queue_media(db))
    await queue_media(db)

    counts = await db.fetch("select * from count_queued_media(2)")

    assert {tuple(row) for row in counts} == {
        ("pending", None, 1), ("cancelled", None, 2),
        ("failed", "media_expired_or_foreign", 1), ("failed", "media_lost_by_whatsapp", 2),
    }  # fmt: skip
    assert (await stats(db))["queue"] == {"cancelled": 3, "failed": 5, "pending": 1}


async def test_dead_letters_are_not_read_to_count_the_work(db: Any) -> None:
    await db.execute(
        "insert into media (message_id, whatsapp_media_id) select $1, n::text"
        " from generate_series(1, 20000) n",
        await add_message(db),
    )
    await db.execute(
        "insert into media_processing_queue (id, message_id, whatsapp_media_id, source, status,"
        " max_attempts, last_error_code)"
        " select id, message_id, whatsapp_media_id, 'whatsapp:1', 'failed', 5, 'media_lost'"
        " from media"
    )
    read = "select coalesce(sum(seq_scan), 0) from pg_stat_xact_user_tables where relname = $1"
    async with db.transaction():
        before = await db.fetchval(read, "media_processing_queue")
        await db.execute("select count_queued_media()")
        await db.execute("select prune_dead_letters('1 day')")
        assert await db.fetchval(read, "media_processing_queue") == before


async def test_a_day_is_24_hours_in_every_time_zone(db: Any) -> None:
    """In one whose clocks went forward within the last day, too: there, a day is 23 hours."""
    await db.execute(
        "insert into media_throughput select date_trunc('minute', now()) - m * interval '1 minute',"
        " 1, 1, 0 from generate_series(1, 1500) m"
    )
    zone = await db.fetchval(
        "select format('AAA0BBB-1,%s/%s,%s/0', d, extract(hour from t), (d + 180) % 365)"
        " from (select (now() at time zone 'utc') - interval '12 hours') x (t),"
        " lateral (select extract(doy from t)::integer - 1) y (d)"
    )
    await db.execute(f"set timezone = '{zone}'")
    assert await db.fetchval("select now() - interval '1 day' = now() - interval '23 hours'")

    assert (await stats(db))["throughput"]["last_day"]["files"] == 1439
