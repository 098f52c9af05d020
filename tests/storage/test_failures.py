"""What becomes of an attachment, and of a removal, for every way in which Storage fails.

The rows are those of the error table that an upload or a removal can meet; each goes over real HTTP
to the real rules. Afterwards the fault is over: the same attachment must be stored, once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poller.deletions import Remover
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import queue_media, status
from tests.storage.conftest import MakePipeline
from tests.storage.rows import ROWS, Row, fresh
from tests.storage.steps import JPEG, attempt, fault_is_over, stored_once


@pytest.mark.parametrize("size", [0, 3_000_000], ids=["small", "streamed"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_upload(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    caplog: pytest.LogCaptureFixture, row: Row, size: int,
) -> None:  # fmt: skip
    content = JPEG + bytes(size)
    media = await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    if row.fault:
        storage.faults.always("upload", fresh(row.fault))

    failing = await pipeline(row)
    assert await attempt(failing) == row.verdict

    found = await status(db, media)
    assert (found["error_code"], found["attempts"]) == (row.code, int(row.verdict != "paused"))
    assert row.words in found["error_text"]
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert f"{row.verdict}, {row.code}: " in line
    assert storage.service_key not in line
    pause = await db.fetchrow("select *, until - paused_at as lasts from media_pauses")
    if row.verdict == "paused":
        # a server that cannot be reached may well be reached by another poller
        scope = "poller:in-process" if row.code == "storage_absent" else "storage"
        assert (pause["scope"], pause["reason"]) == (scope, row.code)
        asked = row.fault.headers.get("Retry-After") if row.fault else None
        assert pause["lasts"].total_seconds() >= int(asked or 10)
        assert await failing.database.claim(1) == []
    else:
        assert pause is None

    await fault_is_over(db, storage)
    if row.verdict == "failed":
        assert await db.fetchval("select retry_failed_media(code => $1)", row.code) == 1
    assert await attempt(await pipeline()) == "stored"
    await stored_once(db, media, files, content)


REMOVALS = [
    row
    for row in ROWS
    if row.name not in {"exists", "too large", "type", "bad path", "bucket", "anon key"}
]
"""Names and buckets that are not there are no failure; the answer to anon is a case of its own."""


@pytest.mark.parametrize("row", REMOVALS, ids=lambda row: row.name)
async def test_a_removal(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    row: Row,
) -> None:  # fmt: skip
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good, failing = await pipeline(), await pipeline(row)
    assert await attempt(good) == "stored"
    await db.execute("select delete_media($1)", media)
    if row.fault:
        storage.faults.always("remove", fresh(row.fault))

    assert await Remover(good.database, failing.storage, good.metrics.removals).remove() == 1

    kept = await db.fetchrow("select * from media_deletion_queue")
    assert (kept["status"], kept["last_error_code"]) == ("pending", row.code)
    assert row.words in kept["last_error_text"]
    paused = await db.fetch("select reason from media_pauses")
    assert [one["reason"] for one in paused] == [row.code] * (row.verdict == "paused")

    await fault_is_over(db, storage)
    await Remover(good.database, good.storage, good.metrics.removals).remove()
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert not list((files / "images").rglob("*.jpg"))


async def test_a_removal_with_the_key_of_anon_forgets_no_file(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi, files: Path
) -> None:
    """Storage answers HTTP 200 and removes nothing."""
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    good = await pipeline()
    assert await attempt(good) == "stored"
    await db.execute("select delete_media($1)", media)
    anon = await pipeline(Row("", "", "", "", key="anon"))

    await Remover(good.database, anon.storage, good.metrics.removals).remove()

    kept = await db.fetchrow("select * from media_deletion_queue")
    assert (kept["status"], kept["last_error_code"]) == ("pending", "storage_key_refused")
    assert kept["last_error_text"].startswith("the key sees no bucket")
    assert list((files / "images").rglob("*.jpg"))
    await fault_is_over(db, storage)
    await Remover(good.database, good.storage, good.metrics.removals).remove()
    assert not list((files / "images").rglob("*.jpg"))


async def test_a_removal_of_a_bucket_that_is_gone_is_done(db: Any, pipeline: MakePipeline) -> None:
    await db.execute(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " values ('no-such-bucket', '2024/01/a.jpg', 'test')"
    )
    good = await pipeline()

    assert await Remover(good.database, good.storage, good.metrics.removals).remove() == 1

    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
