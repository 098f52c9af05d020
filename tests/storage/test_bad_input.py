"""Odd paths, buckets with other settings, a lost download: a clear line, and nothing lost."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poller.buckets import sync_buckets
from poller.config import Settings
from poller.content import Spool
from poller.deletions import Remover
from poller.inspector import Inspector
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import queue_media, status
from tests.storage.conftest import MakePipeline
from tests.storage.steps import JPEG, attempt, change_bucket, stored_once


async def test_odd_paths_of_old_rows_are_removed(
    db: Any, pipeline: MakePipeline, storage: StorageApi
) -> None:
    """Storage cannot hold such names: they count as removed, and do not keep back the others."""
    names = ["für~#%.jpg", "2024/01/a?b.jpg", "../x", "a\\b", "", " ", "x" * 2000]
    await db.executemany(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " values ('images', $1, 'test')",
        [[name] for name in names],
    )
    good = await pipeline()

    assert await Remover(good.database, good.storage, good.metrics.removals).remove() == len(names)

    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert storage.requests["remove"] == 1


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("2024/01/a b&c=d?e;f+g,h.jpg", True),
        ("2024/01/a%2Fb.jpg", False),
        ("2024/01/für.jpg", False),
        ("2024/01/a#b~.jpg", False),
        ("2024/01/../../documents/a.jpg", False),
        ("2024/01/a\nb.jpg", False),
    ],
)
async def test_an_odd_path_of_an_old_row(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, path: str, stored: bool
) -> None:
    """It is uploaded to just that name, or fails with a clear line; nothing else is written."""
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await db.execute(
        "insert into media_objects (content_hash, is_public, bucket_name, storage_path, leader_id)"
        " values (encode(sha256($1), 'hex'), true, 'images', $2, $3)",
        JPEG, path, media,
    )  # fmt: skip

    verdict = await attempt(await pipeline())

    found = await status(db, media)
    if stored:
        assert verdict == "stored"
        assert (files / "images" / path).read_bytes() == JPEG
    else:
        assert (verdict, found["error_code"]) == ("failed", "storage_path_refused")
        assert "Invalid key: " in found["error_text"]
        assert not list((files / "images").rglob("*.jpg"))


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"file_size_limit": 10}, "storage_size_refused"),
        ({"allowed_mime_types": ["image/png"]}, "storage_type_refused"),
    ],
)
async def test_a_bucket_that_somebody_made_otherwise(
    db: Any, pipeline: MakePipeline, settings: Settings, whatsapp: WhatsAppApi,
    storage: StorageApi, files: Path, setting: dict[str, object], code: str,
) -> None:  # fmt: skip
    await change_bucket(storage, "images", setting)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good = await pipeline()

    assert await attempt(good) == "failed"
    assert (await status(db, media))["error_code"] == code

    changes = sync_buckets(settings, await good.database.bucket_policy())
    changed = [one.bucket_name async for one in changes if one.action == "changed"]
    assert changed == ["images"]
    assert await db.fetchval("select retry_failed_media(code => $1)", code) == 1
    assert await attempt(good) == "stored"
    await stored_once(db, media, files, JPEG)


class Truncating(Inspector):
    """Looks into a download, and then most of that is lost."""

    async def examine(self, spool: Spool) -> dict[str, Any]:
        facts = await super().examine(spool)
        os.ftruncate(spool.descriptor, 10)
        return facts


async def test_a_file_that_is_lost_between_spool_and_upload(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path
) -> None:
    content = JPEG + bytes(3_000_000)
    media = await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    async with Truncating(children=1, seconds=20, memory_bytes=1 << 30) as truncating:
        bad = await pipeline(inspector=truncating)

        assert await attempt(bad) == "paused"

    found = await status(db, media)
    assert (found["error_code"], found["attempts"]) == ("spool_lost", 0)
    assert found["error_text"].startswith(
        f"10 of the {len(content)} bytes of the download are left"
    )
    assert not storage.uploads
    pause = await db.fetchrow("select scope, reason from media_pauses")
    assert tuple(pause) == ("poller:in-process", "spool_lost")
    assert await bad.database.claim(1) == []  # another poller's disk may be better
    await db.execute("delete from media_pauses")
    assert await attempt(replace(bad, inspector=(await pipeline()).inspector)) == "stored"
    await stored_once(db, media, files, content)
