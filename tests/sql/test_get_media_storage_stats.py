"""get_media_storage_stats: what operators look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.helpers import (
    claim,
    fail,
    make_due,
    queue_media,
    sha256,
    store,
)
from tests.sql.media_history import stats


async def test_an_empty_store(db: Any) -> None:
    found = await stats(db)

    assert datetime.fromisoformat(found.pop("at")).tzinfo
    assert found == {
        "files": 0, "bytes": 0, "unique_files": 0, "deduplicated_files": 0, "saved_bytes": 0,
        "saved_share": 0, "failed_files": 0, "retried_files": 0, "deleted_files": 0,
        "deleted_bytes": 0, "lost_files": 0, "stored_files": 0, "stored_bytes": 0, "by_type": {}, "by_bucket": {}, "throughput": {
            span: {"files": 0, "bytes": 0, "failed_files": 0}
            for span in ("last_minute", "last_hour", "last_day")
        }, "processing_ms": {"p50": None, "p95": None, "p99": None},
        "queue": {}, "oldest_due_seconds": 0,
        "failures": {}, "last_failures": [], "deletions": 0, "deletions_overdue": 0,
        "unfolded": 0,
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
