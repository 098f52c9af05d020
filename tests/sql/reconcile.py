"""Runs of `pgmedia reconcile` by hand, on what a storage might say."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from tests.helpers import (
    media_row,
    sha256,
)
from tests.sql.queue_invariants import VIOLATIONS

X = sha256(b"x")
LONG_AGO = "2026-01-01T12:00:00Z"
NOBODY = UUID(int=0)
ORPHAN = "2026/01/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg"
BY_HAND = "2026/01/by-hand.jpg"

File = dict[str, Any]


def file(path: str, bucket: str = "images", **changes: Any) -> File:
    """What storage says of a file that pgmedia stored long ago, or not quite that."""
    as_stored = {
        "bucket_name": bucket, "storage_path": path, "is_there": True, "file_size": 1000,
        "mime_type": "image/jpeg", "created_at": LONG_AGO, "updated_at": LONG_AGO,
    }  # fmt: skip
    return as_stored | changes


def gone(path: str, bucket: str = "images") -> File:
    return {"bucket_name": bucket, "storage_path": path, "is_there": False}


async def age(db: Any) -> None:
    """Let everything have been stored two hours ago."""
    await db.execute("update media_objects set stored_at = stored_at - interval '2 hours'")


async def stored_file(db: Any, media: UUID) -> File:
    return file((await media_row(db, media))["storage_path"])


async def begin(db: Any, bucket: str | None = None, url: str = "http://storage") -> UUID:
    return await db.fetchval("select run_id from begin_media_reconcile($1, $2)", url, bucket)


async def list_files(db: Any, run: UUID, *files: File) -> int:
    return await db.fetchval("select add_media_listing($1, $2)", run, json.dumps(files))


async def compare(db: Any, run: UUID, limit: int = 1000) -> set[tuple[str, str]]:
    """Compare all buckets of a run; the paths that seem to differ."""
    buckets = await db.fetchval("select bucket_names from media_reconcile_runs where id = $1", run)
    for bucket in buckets:
        after: str | None = ""
        while after is not None:
            after = await db.fetchval(
                "select last_path from compare_media_storage($1, $2, $3, $4)",
                run, bucket, after, limit,
            )  # fmt: skip
    rows = await db.fetch("select * from list_media_differences($1, 'found', 1000)", run)
    return {(row["bucket_name"], row["storage_path"]) for row in rows}


async def confirm(db: Any, run: UUID, *files: File) -> dict[str, str]:
    """What is left of the differences at these paths."""
    rows = await db.fetch("select * from confirm_media_differences($1, $2)", run, json.dumps(files))
    return {row["storage_path"]: row["difference"] for row in rows}


async def fix(db: Any, run: UUID, *files: File) -> dict[str, str]:
    rows = await db.fetch("select * from fix_media_differences($1, $2)", run, json.dumps(files))
    return {row["storage_path"]: row["outcome"] for row in rows}


async def confirmed(db: Any, listed: list[File], *asked: File) -> UUID:
    """A run over this listing, confirmed by what storage says when asked; returns the run."""
    run = await begin(db)
    await list_files(db, run, *listed)
    await compare(db, run)
    await confirm(db, run, *asked)
    return run


async def differences(db: Any, *listed: File) -> dict[str, str]:
    """What differs by this listing, when storage says the same of each file again."""
    run = await begin(db)
    await list_files(db, run, *listed)
    by_path = {(one["bucket_name"], one["storage_path"]): one for one in listed}
    asked = [
        by_path.get((bucket, path), gone(path, bucket)) for bucket, path in await compare(db, run)
    ]
    return await confirm(db, run, *asked)


async def check(db: Any) -> None:
    assert await db.fetch(VIOLATIONS) == []


async def figures(db: Any) -> dict[str, int]:
    row = await db.fetchrow(
        "select sum(total_files)::int as total, sum(unique_files)::int as unique,"
        " sum(deduplicated_files)::int as deduplicated, sum(failed_files)::int as failed,"
        " sum(lost_files)::int as lost,"
        " sum(total_size_bytes - deleted_bytes - lost_bytes)::int as bytes"
        " from media_analytics_deltas"
    )
    return dict(row)
