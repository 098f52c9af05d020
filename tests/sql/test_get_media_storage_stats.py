"""get_media_storage_stats and fold_media_analytics: figures equal to a recount."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    queue_media,
    queue_row,
    sha256,
    store,
)

CONTENTS = {sha256(bytes([number])): 100 + number for number in range(8)}
TYPES = {"image": "image/jpeg", "document": "application/pdf", "video": "video/mp4"}


async def stats(db: Any) -> dict[str, Any]:
    return json.loads(await db.fetchval("select get_media_storage_stats()"))


async def fold(db: Any) -> int:
    return await db.fetchval("select fold_media_analytics()")


async def test_an_empty_store(db: Any) -> None:
    found = await stats(db)

    assert datetime.fromisoformat(found.pop("at")).tzinfo
    assert datetime.fromisoformat(found["webhook"].pop("since")).tzinfo
    assert found == {
        "files": 0, "bytes": 0, "unique_files": 0, "deduplicated_files": 0, "saved_bytes": 0,
        "saved_share": 0, "failed_files": 0, "retried_files": 0, "deleted_files": 0,
        "lost_files": 0, "by_type": {}, "by_bucket": {}, "throughput": {
            span: {"files": 0, "bytes": 0, "failed_files": 0}
            for span in ("last_minute", "last_hour", "last_day")
        }, "processing_ms": {"p50": None, "p95": None, "p99": None},
        "queue": {}, "oldest_due_seconds": 0,
        "failures": {}, "last_failures": [], "deletions": 0, "deletions_overdue": 0,
        "webhook": {"refusals": {}, "calls_with_errors": 0, "errors": {}},
        "pauses": [], "pollers": 0, "pollers_alive": [],
    }  # fmt: skip


class History:
    """Random calls as clients, operators and pollers make them, and what was done to each file."""

    def __init__(self, db: Any, seed: int) -> None:
        self.db = db
        self.random = random.Random(seed)  # noqa: S311 - a repeatable history
        self.content: dict[UUID, str] = {}
        self.kind: dict[UUID, str] = {}

    async def step(self) -> None:
        steps = [
            self.queue, self.queue, self.work, self.work, self.work,
            self.crash, self.delete, self.retry,
        ]  # fmt: skip
        await self.random.choice(steps)()
        if self.random.random() < 0.1:
            await fold(self.db)

    async def queue(self) -> None:
        content, kind = self.random.choice(list(CONTENTS)), self.random.choice(list(TYPES))
        media = await queue_media(
            self.db, media_type=kind, sha256=self.random.choice([content, None])
        )
        self.content[media], self.kind[media] = content, kind

    async def work(self) -> None:
        await make_due(self.db)
        held = await claim(self.db, self.random.randrange(1, 4))
        for media, token in held.items():
            content, end = self.content[media], self.random.random()
            described = await describe(
                self.db, media, token, mime_type=TYPES[self.kind[media]],
                file_size=CONTENTS[content], sha256=self.random.choice([content, None]),
            )  # fmt: skip
            if described["verdict"] != "download" or end < 0.1:
                continue
            if end < 0.2:
                await fail(self.db, media, token, code=self.random.choice(["100", "2", "190"]))
                await self.db.execute("delete from media_pauses")
                continue
            begun = await begin_upload(
                self.db, media, token, content_hash=content, file_size=CONTENTS[content],
                mime_type="text/html" if end < 0.3 else TYPES[self.kind[media]],
            )  # fmt: skip
            if begun["verdict"] == "upload" and end < 0.9:
                await finish_upload(self.db, media, token, begun["object_id"])

    async def crash(self) -> None:
        rows = await self.db.fetch(
            "select id from media_processing_queue where status = 'processing'"
        )
        for row in rows:
            await expire_lease(self.db, row["id"])

    async def retry(self) -> None:
        await self.db.execute("select retry_failed_media(at_most => 2)")

    async def delete(self) -> None:
        if self.content and self.random.random() < 0.5:
            media = self.random.choice(list(self.content))
            await self.db.execute("select delete_media($1)", media)

    async def recount(self) -> tuple[Counter[str], dict[str, Counter[str]]]:
        """The figures, from the audit trail and from what this history knows of each file."""
        total: Counter[str] = Counter()
        by_type: dict[str, Counter[str]] = {}
        for row in await self.db.fetch("select media_id, event from media_audit_log"):
            size, kind = CONTENTS[self.content[row["media_id"]]], self.kind[row["media_id"]]
            counted: dict[str, int] = {
                "stored": {"files": 1, "bytes": size, "unique_files": 1},
                "deduplicated": {
                    "files": 1, "bytes": size, "deduplicated_files": 1, "saved_bytes": size,
                },
                "failed": {"failed_files": 1},
                "retried": {"retried_files": 1},
                "deleted": {"deleted_files": 1},
            }.get(row["event"], {})  # fmt: skip
            total.update(counted)
            if counted:
                by_type.setdefault(kind, Counter()).update(counted)
        return total, by_type


FIGURES = (
    "files", "bytes", "unique_files", "deduplicated_files", "saved_bytes", "failed_files",
    "retried_files", "deleted_files",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_the_figures_equal_a_recount_after_a_random_history(db: Any, seed: int) -> None:
    history = History(db, seed)
    for _ in range(150):
        await history.step()
    total, by_type = await history.recount()
    assert total["deduplicated_files"] > 0
    assert total["failed_files"] > 0

    for _ in range(2):  # before and after folding
        found = await stats(db)
        assert {name: found[name] for name in FIGURES} == {name: total[name] for name in FIGURES}
        assert {
            kind: {name: of[name] for name in FIGURES} for kind, of in found["by_type"].items()
        } == {kind: {name: of[name] for name in FIGURES} for kind, of in by_type.items()}
        queue = await db.fetch("select status, count(*) from media_processing_queue group by 1")
        assert found["queue"] == {row[0]: row[1] for row in queue}
        stored = await db.fetch(
            "select bucket_name, count(*), sum(stored_size) from media_objects"
            " where state = 'stored' group by 1"
        )
        assert {name: of for name, of in found["by_bucket"].items() if of["objects"]} == {
            row[0]: {"objects": row[1], "bytes": row[2]} for row in stored
        }
        assert found["throughput"]["last_day"] == {
            name: total[name] for name in ("files", "bytes", "failed_files")
        }
        await fold(db)
    assert await db.fetchval("select count(*) from media_analytics_deltas") == 0
    await consistent(db)


async def consistent(db: Any) -> None:
    """What must hold after any history."""
    wrong = await db.fetchval(
        "select count(*) from media m left join media_objects o on o.id = m.object_id"
        " where m.processed <> (o.state is not distinct from 'stored')"
        " or (m.processed and (m.content_hash <> o.content_hash or m.file_size <> o.file_size))"
    )
    assert wrong == 0
    unused = await db.fetchval(
        "select count(*) from media_objects o where o.state = 'stored'"
        " and not exists (select from media m where m.object_id = o.id)"
    )
    assert unused == 0
    led = await db.fetchval(
        "select count(*) from media_objects o where o.state = 'uploading' and not exists ("
        " select from media_processing_queue q where q.id = o.leader_id"
        " and q.status in ('pending', 'processing'))"
    )
    assert led == 0
    alone = await db.fetchval(
        "select count(*) from media m left join media_processing_queue q on q.id = m.id"
        " where m.processed = (q.id is not null)"
    )
    assert alone == 0


@pytest.mark.parametrize("seed", range(4))
async def test_every_history_comes_to_an_end(db: Any, seed: int) -> None:
    """With pollers that do their work, everything is stored or dead, and every file is used."""
    history = History(db, 100 + seed)
    for _ in range(80):
        await history.step()
    await history.crash()
    for _ in range(300):
        await make_due(db)
        held = await claim(db)
        waiting = await db.fetchval(
            "select count(*) from media_processing_queue"
            " where status in ('pending', 'processing', 'waiting')"
        )
        if not waiting:
            break
        for media, token in held.items():
            row = await queue_row(db, media)
            if row is None or row["fencing_token"] != token or row["status"] != "processing":
                continue
            content = history.content[media]
            begun = await begin_upload(
                db, media, token, content_hash=content, file_size=CONTENTS[content],
                mime_type=TYPES[history.kind[media]],
            )  # fmt: skip
            if begun["verdict"] == "upload":
                await finish_upload(db, media, token, begun["object_id"])

    states = await db.fetch("select distinct status from media_processing_queue")
    assert {row[0] for row in states} <= {"failed"}
    assert await db.fetchval("select count(*) from media_objects where state = 'uploading'") == 0
    await consistent(db)


async def test_folding_counts_what_it_folded(db: Any) -> None:
    await store(db, sha256(b"x"))
    await store(db, sha256(b"y"))

    assert await fold(db) == 2
    assert await fold(db) == 0
    row = await db.fetchrow("select * from media_analytics")
    assert (row["total_files"], row["media_type"]) == (2, "image")
    await store(db, sha256(b"z"))
    assert await fold(db) == 1
    assert await db.fetchval("select total_files from media_analytics") == 3


async def test_only_one_folds_at_a_time_and_nobody_waits(connect: Connect, db: Any) -> None:
    one = await connect()
    await store(db, sha256(b"x"))
    transaction = one.transaction()
    await transaction.start()
    assert await fold(one) == 1

    assert await fold(db) == 0
    await store(db, sha256(b"y"))  # what is counted meanwhile is not lost
    assert (await stats(db))["files"] == 2  # and neither is what is being folded
    await transaction.commit()

    assert (await stats(db))["files"] == 2
    assert await fold(db) == 1


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
