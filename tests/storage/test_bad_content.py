"""Bad files through the whole pipeline: each has its verdict at once, and none is stored."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from poller.inspector import Inspector
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.checks.bad_files import BAD
from tests.checks.makers import FILES, MIME
from tests.helpers import queue_media, status
from tests.storage.conftest import MakePipeline
from tests.storage.steps import attempt


async def test_every_bad_file_has_its_verdict(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi
) -> None:
    await db.execute("update media_settings set refusals_per_hour = 1000")
    works = await pipeline()
    expected: dict[str, str] = {}
    found: dict[str, str] = {}
    for what, (make, kind, declared, code) in BAD.items():
        expected[what] = code
        media_id = whatsapp.add_media(make(), MIME[declared])
        media = await queue_media(db, media_id, media_type=kind, mime_type=MIME[declared])

        verdict = await attempt(works)

        row = await status(db, media)
        found[what] = row["error_code"] or verdict
        if row["error_code"]:
            assert (row["status"], row["attempts"]) == ("failed", 1), what  # none is tried again
            assert row["error_text"], what
    assert found == expected
    assert len(storage.uploads) == list(expected.values()).count("stored")


@pytest.mark.parametrize(("more", "code"), [(0, None), (1, "too_large")])
async def test_a_file_at_the_limit_and_one_byte_over(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, more: int, code: str | None
) -> None:
    content = b"a line of text\n" * 20_000
    await db.execute(
        "update media_buckets set file_size_limit = $1 where bucket_name = 'documents'",
        len(content) - more,
    )
    # what was announced is small: it is the bytes that count
    media_id = whatsapp.add_media(content, "text/plain", file_size=5)
    media = await queue_media(db, media_id, media_type="document")

    await attempt(await pipeline())

    assert (await status(db, media))["error_code"] == code


async def test_a_check_that_hangs_costs_its_own_file_an_attempt(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi
) -> None:
    media = await queue_media(db, whatsapp.add_media(FILES["jpg"], "image/jpeg"))
    hanging = [sys.executable, "-c", "import time; time.sleep(3600)"]
    async with Inspector(children=1, seconds=0.5, memory_bytes=1 << 30, command=hanging) as stuck:
        bad = await pipeline(inspector=stuck)
        assert await attempt(bad) == "retry"

    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("pending", "content_check_failed")
    assert "took more than 0.5 s" in row["error_text"]
    await db.execute("update media_processing_queue set due_at = now()")
    assert await attempt(await pipeline()) == "stored"
