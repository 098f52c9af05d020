"""Files that are stored otherwise than they were received, through the whole pipeline."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from poller.content import Spool, SpoolError
from poller.inspector import Inspector
from poller.sandbox.whatsapp import WhatsAppApi
from tests.checks.makers import FILES, MIME
from tests.encoding.images import (
    full_of_metadata,
    photo,
    saved,
    shown,
)
from tests.encoding.test_sound import samples, wav
from tests.helpers import (
    children,
    events,
    eventually,
    expire_lease,
    media_row,
    sha256,
)
from tests.storage.conftest import MakePipeline
from tests.storage.steps import attempt, files_of, send, stored

CRASHING = [sys.executable, "-c", "import os; os.abort()"]
HANGING = [sys.executable, "-c", "import time; time.sleep(3600)"]


@pytest.fixture(autouse=True)
async def encodes_small_files(db: Any) -> None:
    await db.execute("update media_buckets set compress_above = 10000")


async def test_a_bmp_is_stored_as_png(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content = saved(photo(300, 200), "BMP")
    media = await send(db, whatsapp, content, "image/bmp")

    assert await attempt(await pipeline()) == "stored"

    row, thing = await media_row(db, media), await db.fetchrow("select * from media_objects")
    assert shown(stored(files, row)) == shown(content)
    assert row["storage_path"].endswith(".png")
    assert row["public_url"].endswith(row["storage_path"])
    assert row["mime_type"] == "image/png"
    assert (row["content_hash"], thing["stored_hash"]) == (
        sha256(content), sha256(stored(files, row)),
    )  # fmt: skip
    assert (row["file_size"], thing["file_size"]) == (len(stored(files, row)), len(content))
    (detail,) = await db.fetch(
        "select detail from get_media_audit_trail($1) where event = 'stored'", media
    )
    told = json.loads(detail[0])
    assert "encode_ms" in told
    assert told["encoding"]["codec"] == "png"
    assert told["encoding"]["checks"]["mime_type"] == "image/png"


async def test_a_wav_is_stored_as_flac(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content = wav()
    media = await send(db, whatsapp, content, "audio/wav", "audio")

    assert await attempt(await pipeline()) == "stored"

    row = await media_row(db, media)
    assert (row["mime_type"], row["storage_path"][-4:]) == ("audio/ogg", ".ogg")
    assert samples(stored(files, row), "s16") == samples(content, "s16")


async def test_what_is_stored_encoded_is_not_fetched_nor_encoded_again(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content, works = saved(photo(300, 200), "BMP"), await pipeline()
    first = await send(db, whatsapp, content, "image/bmp")
    await attempt(works)
    no_encoder = Inspector(children=1, seconds=1, memory_bytes=1 << 30, command=CRASHING)
    second = await send(db, whatsapp, content, "image/bmp", sha256=sha256(content))
    known = await send(db, whatsapp, content, "image/bmp")

    later = await pipeline(encoder=no_encoder)
    verdicts = {await attempt(later) for _ in range(await db.fetchval(
        "select count(*)::int from media_processing_queue"))}  # fmt: skip

    assert verdicts <= {"deduplicated"}
    rows = [await media_row(db, one) for one in (first, second, known)]
    assert len({(row["storage_path"], row["file_size"], row["mime_type"]) for row in rows}) == 1
    assert len(files_of(files, ".png", ".bmp")) == 1


@pytest.mark.parametrize("command", [CRASHING, HANGING])
async def test_a_file_that_an_encoder_dies_of_is_stored_as_it_came(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, command: list[str]
) -> None:
    content = saved(photo(300, 200), "BMP")
    media = await send(db, whatsapp, content, "image/bmp")
    async with Inspector(children=1, seconds=1, memory_bytes=1 << 30, command=command) as bad:
        assert await attempt(await pipeline(encoder=bad)) == "stored"

    row = await media_row(db, media)
    assert stored(files, row) == content
    assert (row["mime_type"], row["storage_path"][-4:]) == ("image/bmp", ".bmp")
    assert json.loads(await db.fetchval("select encoding from media_objects"))["problem"]


async def test_a_file_that_would_take_too_much_memory_is_stored_as_it_came(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content = saved(photo(6000, 4000), "PNG", compress_level=1)
    await db.execute("update media_settings set image_edge_most = 16000")
    media = await send(db, whatsapp, content, "image/png")
    async with Inspector(children=1, seconds=60, memory_bytes=300_000_000) as narrow:
        assert await attempt(await pipeline(encoder=narrow)) == "stored"

    assert stored(files, await media_row(db, media)) == content
    problem = json.loads(await db.fetchval("select encoding from media_objects"))["problem"]
    assert "memory" in problem or "exit code" in problem


class NoRoom(Inspector):
    """An encoder whose results find no room on the disk."""

    async def encode(self, spool: Spool, plan: dict[str, Any], encoded: Spool) -> dict[str, Any]:
        await super().encode(spool, plan, encoded)
        raise SpoolError("spool_full", "cannot hold the download: No space left on device")


async def test_without_room_for_the_result_the_file_is_stored_as_it_came(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content = saved(photo(300, 200), "BMP")
    media = await send(db, whatsapp, content, "image/bmp")
    async with NoRoom(children=1, seconds=20, memory_bytes=1 << 30) as encoder:
        assert await attempt(await pipeline(encoder=encoder)) == "stored"

        assert stored(files, await media_row(db, media)) == content
        done = json.loads(await db.fetchval("select encoding from media_objects"))
        assert "No space left" in done["problem"]

        await send(db, whatsapp, full_of_metadata("JPEG"), "image/jpeg")
        assert await attempt(await pipeline(encoder=encoder)) == "paused"  # not stored with it


@pytest.mark.parametrize("name", ["avi", "mov", "3gp", "mp4", "pdf", "docx", "mp3", "gif"])
async def test_other_formats_stay_as_they_are(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, name: str
) -> None:
    await db.execute("update media_buckets set compress_above = 1")
    media = await send(db, whatsapp, FILES[name], MIME[name], "document")

    await attempt(await pipeline())

    assert stored(files, await media_row(db, media)) == FILES[name]
    assert await db.fetchval("select encoding from media_objects") is None


async def test_an_encoder_ends_with_the_lease_and_leaves_nothing(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path
) -> None:
    content = saved(photo(300, 200), "BMP")
    media = await send(db, whatsapp, content, "image/bmp")
    async with Inspector(children=1, seconds=60, memory_bytes=1 << 30, command=HANGING) as stuck:
        works = await pipeline(encoder=stuck)
        (job,) = await works.database.claim(1)
        before = children(os.getpid())
        work = asyncio.create_task(works.process(job))
        await eventually(lambda: len(children(os.getpid())) >= len(before) + 2)

        work.cancel()  # as poller.loop does

        with pytest.raises(asyncio.CancelledError):
            await work
        await eventually(lambda: len(children(os.getpid())) == len(before) + 1)  # the inspector's
    assert not files_of(files, ".png", ".bmp")
    await expire_lease(db, media)
    assert await attempt(await pipeline()) == "stored"
    assert await events(db, media) == [
        "queued", "claimed", "lease expired", "claimed", "stored",
    ]  # fmt: skip
