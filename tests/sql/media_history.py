"""Random calls as clients, operators and pollers make them, and a recount of what they did."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any
from uuid import UUID

from tests.helpers import (
    begin_upload,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    queue_media,
    sha256,
)

CONTENTS = {sha256(bytes([number])): 100 + number for number in range(8)}


TYPES = {"image": "image/jpeg", "document": "application/pdf", "video": "video/mp4"}


async def stats(db: Any) -> dict[str, Any]:
    return json.loads(await db.fetchval("select get_media_storage_stats()"))


async def fold(db: Any) -> int:
    return await db.fetchval("select fold_media_analytics()")


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
            self.crash, self.delete, self.retry, self.cancel, self.lose, self.age, self.clean_up,
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
            await self.db.execute("delete from media_holds where media_id = $1", media)
            await self.db.execute(
                self.random.choice([
                    "select delete_media($1)", "delete from media where id = $1",
                    "delete from messages where id = (select message_id from media where id = $1)",
                ]), media,
            )  # fmt: skip

    async def age(self) -> None:
        """Some media grow old, are held or looked at."""
        change = self.random.choice([
            "update media set message_sent_at = now() - interval '40 days' where id = m.id",
            "insert into media_holds (media_id, reason) values (m.id, 'x') on conflict do nothing",
            "insert into media_accesses (media_id, accessed_at) values (m.id, now())"
            " on conflict do nothing",
            "delete from media_holds where media_id <> m.id",
        ])  # fmt: skip
        await self.db.execute(
            "do $$ declare m record; begin for m in select id from media order by id"
            f" offset {self.random.randrange(9)} limit 3 loop {change}; end loop; end $$"
        )

    async def clean_up(self) -> None:
        await self.db.execute(
            "select run_media_cleanup(30, $1, $2, $3, $4)",
            self.random.choice([None, ["image"], ["video", "document"]]),
            self.random.choice([None, 1]),
            self.random.random() < 0.2,
            self.random.choice([1, 3, 1000]),
        )

    async def cancel(self) -> None:
        if self.content and self.random.random() < 0.3:
            await self.db.execute("select cancel_media($1)", self.random.choice(list(self.content)))

    async def lose(self) -> None:
        """The file of an object is found missing, and its attachments are fetched again."""
        if self.random.random() < 0.2:
            await self.db.execute(
                "select requeue_media_object(row(gen_random_uuid(), o.bucket_name, o.storage_path,"
                " 'missing', 'confirmed', o.id, o.stored_at, null, null, null, null, null)"
                "::media_storage_differences)"
                " from media_objects o where o.state = 'stored' limit 1"
            )

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
                "file missing": {"lost_files": 1},
            }.get(row["event"], {})  # fmt: skip
            total.update(counted)
            if counted:
                by_type.setdefault(kind, Counter()).update(counted)
        await self.recount_what_is_there(total, by_type)
        return total, by_type

    async def recount_what_is_there(
        self, total: Counter[str], by_type: dict[str, Counter[str]]
    ) -> None:
        rows = await self.db.fetch(
            "select media_type, count(*) as n, sum(file_size)::bigint as bytes from media"
            " where object_id is not null group by 1"
        )
        for row in rows:
            counted = {"stored_files": row["n"], "stored_bytes": row["bytes"]}
            total.update(counted)
            by_type[row["media_type"]].update(counted)
        had_a_file = await self.db.fetch(
            "select media_id from media_audit_log where event = 'deleted' and detail ? 'object_id'"
        )
        for (media,) in had_a_file:
            size = {"deleted_bytes": CONTENTS[self.content[media]]}
            total.update(size)
            by_type[self.kind[media]].update(size)


FIGURES = (
    "files", "bytes", "unique_files", "deduplicated_files", "saved_bytes", "failed_files",
    "retried_files", "deleted_files", "deleted_bytes", "lost_files", "stored_files", "stored_bytes",
)  # fmt: skip


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
