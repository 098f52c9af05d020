"""Buckets that do not take what files were encoded as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.encoding.images import (
    PLACE,
    exif,
    photo,
    saved,
    shown,
)
from tests.helpers import (
    make_due,
    media_row,
    status,
)
from tests.storage.conftest import MakePipeline
from tests.storage.steps import attempt, change_bucket, files_of, send, stored


@pytest.fixture(autouse=True)
async def encodes_small_files(db: Any) -> None:
    await db.execute("update media_buckets set compress_above = 10000")


@pytest.mark.parametrize("with_metadata", [False, True])
async def test_a_bucket_that_does_not_take_what_was_made_gets_what_came(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    with_metadata: bool,
) -> None:  # fmt: skip
    await change_bucket(storage, "images", {"allowed_mime_types": ["image/jpeg", "image/png"]})
    options = {"exif": exif()} if with_metadata else {}
    content = saved(photo(300, 200), "PNG", **options)
    media = await send(db, whatsapp, content, "image/png")
    works = await pipeline()

    assert await attempt(works) == "retry"
    row = await status(db, media)
    assert row["error_code"] == "storage_type_refused"
    assert "image/webp" in row["error_text"]
    assert "run: pgmedia buckets" in row["error_text"]
    await make_due(db)
    assert await attempt(works) == "stored"

    row = await media_row(db, media)
    kept = stored(files, row)
    assert (row["mime_type"], row["storage_path"][-4:]) == ("image/png", ".png")
    assert shown(kept) == shown(content)
    assert PLACE not in kept
    assert (kept == content) == (not with_metadata)
    done = json.loads(await db.fetchval("select encoding from media_objects"))
    assert "image/webp" in done.get("tried", done)["problem"]


async def test_a_bucket_that_takes_neither_ends_it(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path
) -> None:
    await change_bucket(storage, "images", {"allowed_mime_types": ["image/gif"]})
    media = await send(db, whatsapp, saved(photo(300, 200), "PNG"), "image/png")
    works = await pipeline()

    assert await attempt(works) == "retry"
    await make_due(db)
    assert await attempt(works) == "failed"

    assert (await status(db, media))["error_code"] == "storage_type_refused"
    assert not files_of(files, ".png", ".webp")
