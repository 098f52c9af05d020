"""get_media_storage_stats and fold_media_analytics: figures equal to a recount."""

from __future__ import annotations

import json
import random
from collections import Counter
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
    assert await stats(db) == {
        "files": 0, "bytes": 0, "unique_files": 0, "deduplicated_files": 0, "saved_bytes": 0,
        "failed_files": 0, "deleted_files": 0, "lost_files": 0, "by_type": {}, "queue": {},
        "oldest_due_seconds": 0, "deletions": 0, "pauses": [], "pollers": 0,
    }  # fmt: skip


class History:
    """Random calls as clients, operators and pollers make them, and what was done to each file."""

    def __init__(self, db: Any, seed: int) -> None:
        self.db = db
        self.random = random.Random(seed)  # noqa: S311 - a repeatable history
        self.content: dict[UUID, str] = {}
        self.kind: dict[UUID, str] = {}

    async def step(self) -> None:
        steps = [self.queue, self.queue, self.work, self.work, self.work, self.crash, self.delete]
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
                "deleted": {"deleted_files": 1},
            }.get(row["event"], {})  # fmt: skip
            total.update(counted)
            if counted:
                by_type.setdefault(kind, Counter()).update(counted)
        return total, by_type


FIGURES = (
    "files", "bytes", "unique_files", "deduplicated_files", "saved_bytes", "failed_files",
    "deleted_files",
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


async def test_a_heartbeat_counts_the_poller_and_folds(db: Any) -> None:
    await store(db, sha256(b"x"))

    lease = await db.fetchval("select heartbeat_media_poller('one', '1.0', 'listen', 3)")

    assert lease == 60
    assert (await stats(db))["pollers"] == 1
    assert await db.fetchval("select count(*) from media_analytics_deltas") == 0
    await db.execute("update media_pollers set seen_at = now() - interval '10 minutes'")
    assert (await stats(db))["pollers"] == 0
    await db.execute("select heartbeat_media_poller('two', '1.0', 'poll', 0)")
    rows = await db.fetch("select poller, mode from media_pollers")
    assert [tuple(row) for row in rows] == [("two", "poll")]
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
