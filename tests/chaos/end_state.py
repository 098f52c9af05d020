"""What must be true when all is over, whatever went wrong before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.chaos.attachments import Attachment
from tests.helpers import sha256

NEXT = {
    ("nothing", "queued"): "new",
    ("new", "joined"): "waiting",
    ("new", "deduplicated"): "stored",
    ("new", "claimed"): "processing",
    ("pending", "claimed"): "processing",
    ("processing", "joined"): "waiting",
    ("processing", "deduplicated"): "stored",
    ("processing", "stored"): "stored",
    ("processing", "attempt failed"): "pending",
    ("processing", "lease expired"): "pending",
    ("processing", "released"): "pending",
    ("processing", "failed"): "failed",
    ("waiting", "freed"): "pending",
    ("waiting", "deduplicated"): "stored",
    ("waiting", "failed"): "failed",
    ("failed", "retried"): "pending",
    ("cancelled", "retried"): "pending",
    **{(state, "cancelled"): "cancelled" for state in ("new", "pending", "processing", "waiting")},
    **{
        (state, "deleted"): "deleted"
        for state in (
            "new", "pending", "processing", "waiting", "stored", "failed", "cancelled"
        )
    },
}  # fmt: skip
"""The stories that an audit trail may tell: the state after an event in a state."""
GIVEN_BACK = {"released", "joined"}
"""Events that end an attempt and do not spend it."""


async def check_end_state(
    db: Any, attachments: Collection[Attachment], files: Path, logs: Iterable[Path]
) -> None:
    ends = {row["id"]: row for row in await db.fetch(
        "select m.*, s.status, s.attempts, s.max_attempts"
        " from media m cross join lateral get_media_status(m.id) s"
    )}  # fmt: skip
    trails = await read_trails(db)
    for one in attachments:
        assert one.media
        check_attachment(one, ends.get(one.media), trails[one.media])
    assert len(trails) == len(attachments)
    await check_nothing_is_left(db)
    await check_files(db, files)
    await check_analytics(db, trails)
    for log in logs:
        text = log.read_text()
        assert "Traceback" not in text, text


async def read_trails(db: Any) -> dict[UUID, list[Any]]:
    rows = await db.fetch(
        "select * from media_audit_log"  # of attachments, not of files, pauses and settings
        " where event not in ('file removed', 'removal refused', 'orphan')"
        " and media_id <> '00000000-0000-0000-0000-000000000000' order by media_id, id"
    )
    return {media: list(trail) for media, trail in groupby(rows, lambda row: row["media_id"])}


def check_attachment(one: Attachment, end: Any, trail: list[Any]) -> None:
    """Stored, or failed as it had to, or cancelled or deleted because somebody asked for it."""
    story = [(row["event"], row["attempt"], row["detail"]) for row in trail]
    state = check_story(trail)
    if end is None:
        assert state == "deleted", story
        assert one.deleted, story
        return
    assert not one.deleted, story
    assert state == end["status"], (state, end["status"], story)
    match state:
        case "stored":
            assert one.content.failure is None, story
            assert isinstance(one.content.data, bytes)
            assert end["content_hash"] == sha256(one.content.data)
        case "failed":
            assert end["failure_code"] == one.content.failure, story
            assert end["failure_text"]
        case _:
            assert (state, one.cancelled) == ("cancelled", True), story


def check_story(trail: list[Any]) -> str:
    """Follow an audit trail; the state it ends in."""
    story = [(row["event"], row["attempt"], row["poller"]) for row in trail]
    state, spent, poller = "nothing", 0, None
    for row in trail:
        event = row["event"]
        assert (state, event) in NEXT, (state, story)
        if event == "claimed":
            spent, poller = spent + 1, row["poller"]
        if event == "retried":
            spent = 0
        if state == "processing" and event not in ("cancelled", "deleted"):
            assert (row["poller"], row["attempt"]) == (poller, spent), (event, story)
            spent -= event in GIVEN_BACK
        state = NEXT[state, event]
    assert state in {"stored", "failed", "cancelled", "deleted"}, (state, story)
    return state


async def check_nothing_is_left(db: Any) -> None:
    """No work, no lease, no wait, no reservation, no file to remove."""
    queue = "select * from media_processing_queue where"
    assert await db.fetch(f"{queue} status not in ('failed', 'cancelled')") == []
    assert await db.fetch(f"{queue} num_nulls(claimed_by, lease_until, waiting_for) < 3") == []
    assert await db.fetch("select * from media_deletion_queue") == []
    assert await db.fetch("select * from media_objects where state <> 'stored'") == []


async def check_files(db: Any, files: Path) -> None:
    """One file for each distinct content of a visibility that somebody refers to, and no other."""
    objects = await db.fetch("select * from media_objects")
    for row in objects:
        content = (files / row["bucket_name"] / row["storage_path"]).read_bytes()
        assert sha256(content) == row["content_hash"] == row["stored_hash"], row
        assert len(content) == row["stored_size"]
    kept = Counter((row["content_hash"], row["is_public"]) for row in objects)
    assert set(kept.values()) <= {1}
    referred = await db.fetch(
        "select distinct m.content_hash, b.is_public from media m"
        " join media_buckets b on m.media_type = any (b.media_types) where m.processed"
    )
    assert set(kept) == {(row["content_hash"], row["is_public"]) for row in referred}
    wrong = await db.fetch(
        "select m.* from media m left join media_objects o on o.id = m.object_id"
        " where m.processed and (o.content_hash, o.bucket_name, o.storage_path)"
        " is distinct from (m.content_hash, m.bucket_name, m.storage_path)"
        " or m.processed <> (m.object_id is not null)"
    )
    assert wrong == []
    assert files_in(files) == {f"{row['bucket_name']}/{row['storage_path']}" for row in objects}


def files_in(folder: Path) -> set[str]:
    """Without the stand-in's own, which begin with a dot."""
    return {str(file.relative_to(folder)) for file in folder.glob("[!.]*/**/*") if file.is_file()}


async def check_analytics(db: Any, trails: dict[UUID, list[Any]]) -> None:
    """The counts are those of the audit trails, and what is left is what the media rows hold."""
    events = Counter(row["event"] for trail in trails.values() for row in trail)
    counts = "unique_files, deduplicated_files, failed_files, deleted_files, total_files,"
    counts += " total_size_bytes, deleted_bytes"
    counted = await db.fetchrow(
        "select sum(unique_files) as stored, sum(deduplicated_files) as deduplicated,"
        " sum(failed_files) as failed, sum(deleted_files) as deleted, sum(total_files) as total,"
        " sum(total_size_bytes) - sum(deleted_bytes) as bytes"
        f" from (select {counts} from media_analytics"
        f" union all select {counts} from media_analytics_deltas) a"
    )
    for event in ("stored", "deduplicated", "failed", "deleted"):
        assert counted[event] == events[event], (event, counted)
    assert counted["total"] == events["stored"] + events["deduplicated"]
    left = await db.fetchval("select coalesce(sum(file_size), 0) from media where processed")
    assert counted["bytes"] == left
    ended = Counter(check_story(trail) for trail in trails.values())
    assert await db.fetchval("select count(*) from media where processed") == ended["stored"]
