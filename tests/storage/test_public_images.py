"""What public images have in them besides their pixels, through the whole pipeline."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from poller.inspector import Inspector
from poller.sandbox.whatsapp import WhatsAppApi
from tests.encoding.images import (
    PLACE,
    exif,
    full_of_metadata,
    photo,
    shown,
    with_further_images,
)
from tests.helpers import (
    make_due,
    media_row,
    status,
)
from tests.storage.conftest import MakePipeline
from tests.storage.steps import attempt, files_of, send, stored

CRASHING = [sys.executable, "-c", "import os; os.abort()"]


@pytest.fixture(autouse=True)
async def encodes_small_files(db: Any) -> None:
    await db.execute("update media_buckets set compress_above = 10000")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
async def test_no_public_image_tells_where_it_was_taken(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, form: str
) -> None:
    """Below the threshold of compression as above it, and only in public."""
    await db.execute("update media_buckets set compress_above = null")
    works, content = await pipeline(), full_of_metadata(form)
    public = await send(db, whatsapp, content, f"image/{form.lower()}")
    assert await attempt(works) == "stored"
    private = await send(db, whatsapp, content, f"image/{form.lower()}", "document")
    assert await attempt(works) == "stored"

    one, other = await media_row(db, public), await media_row(db, private)

    assert PLACE not in stored(files, one)
    assert shown(stored(files, one)) == shown(content)
    assert stored(files, other) == content
    assert (one["bucket_name"], other["bucket_name"]) == ("images", "documents")
    assert other["public_url"] is None


@pytest.mark.parametrize("compress_above", [1, None])
async def test_the_further_images_of_a_photo_stay_in_private(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, compress_above: int | None
) -> None:
    """A camera's preview, depth or gain map has the place in it as the photo has."""
    await db.execute(
        "update media_buckets set compress_above = $1, compress_lossy = true", compress_above
    )
    works = await pipeline()
    content = with_further_images(photo(1200, 900), exif=exif(), quality=98)
    assert content.count(PLACE) > 2
    public = await send(db, whatsapp, content, "image/jpeg")
    assert await attempt(works) == "stored"
    private = await send(db, whatsapp, content, "image/jpeg", "document")
    assert await attempt(works) == "stored"

    kept = stored(files, await media_row(db, public))
    assert PLACE not in kept
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.format, ImageOps.exif_transpose(image).size) == ("JPEG", (900, 1200))
    assert (len(kept) < 0.9 * len(content)) == bool(compress_above)
    assert stored(files, await media_row(db, private)) == content
    checks = json.loads(await db.fetchval("select checks from media_objects where is_public"))
    assert "further images" in checks["metadata"]


async def test_an_image_whose_metadata_cannot_be_dropped_is_not_stored_in_public(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    media = await send(db, whatsapp, full_of_metadata("JPEG"), "image/jpeg")
    async with Inspector(children=1, seconds=9, memory_bytes=1 << 30, command=CRASHING) as bad:
        assert await attempt(await pipeline(encoder=bad)) == "retry"

    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("pending", "metadata_not_removed")
    assert not files_of(files, ".jpg")
    await make_due(db)
    assert await attempt(await pipeline()) == "stored"


async def test_an_image_that_hides_its_metadata_is_refused_at_once(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    """It would be the same file next time."""
    content = full_of_metadata("JPEG")
    hidden = content[:2] + b"\xff\xd0" + PLACE + content[2:]
    media = await send(db, whatsapp, hidden, "image/jpeg")

    assert await attempt(await pipeline()) == "rejected"

    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("failed", "metadata_not_removed")
    assert not files_of(files, ".jpg")
