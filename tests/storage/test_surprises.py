"""What of Storage trips over a naive client: taken through the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poller.deletions import Remover
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import Reason
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import queue_media, status
from tests.storage.conftest import MakePipeline
from tests.storage.steps import JPEG, attempt, change_bucket

VOICE = next(one for one in SAMPLES if one.mime_type == "audio/ogg").read()


@pytest.mark.parametrize("announced", ["audio/ogg; codecs=opus", "Audio/OGG;codecs=opus"])
async def test_a_type_with_parameters_is_stored_without_them(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, files: Path, announced: str
) -> None:
    media = await queue_media(
        db, whatsapp.add_media(VOICE, announced), media_type="audio", mime_type=announced
    )

    assert await attempt(await pipeline()) == "stored"

    row = await db.fetchrow("select * from media where id = $1", media)
    assert row["mime_type"] == "audio/ogg"
    assert (files / "audio" / row["storage_path"]).read_bytes() == VOICE


async def test_a_file_name_is_no_part_of_the_path(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi
) -> None:
    name = "../für ~#[x]%2F\\.jpg"
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"), file_name=name)

    assert await attempt(await pipeline()) == "stored"

    row = await db.fetchrow("select file_name, storage_path from media where id = $1", media)
    assert row["file_name"] == name
    assert await db.fetchval(
        "select $1 ~ '^[0-9]{4}/[0-9]{2}/[0-9a-f-]{36}[.]jpg$'", row["storage_path"]
    )


async def test_a_limit_holds_for_what_is_streamed(
    db: Any, pipeline: MakePipeline, whatsapp: WhatsAppApi, storage: StorageApi
) -> None:
    """Storage enforces it only when it is told the length."""
    await change_bucket(storage, "images", {"file_size_limit": 1_000_000})
    media = await queue_media(db, whatsapp.add_media(JPEG + bytes(3_000_000), "image/jpeg"))

    assert await attempt(await pipeline()) == "failed"

    assert (await status(db, media))["error_code"] == "storage_size_refused"
    assert not storage.uploads


async def test_a_thousand_names_go_into_one_removal(
    db: Any, pipeline: MakePipeline, storage: StorageApi
) -> None:
    await db.execute(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " select 'images', '2024/01/' || n, 'test' from generate_series(1, 1500) n"
    )
    good = await pipeline()

    claimed = [
        await Remover(good.database, good.storage, good.metrics.removals).remove() for _ in range(3)
    ]

    assert claimed == [1000, 500, 0]
    assert storage.requests["remove"] == 2
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0


async def test_a_name_that_is_refused_keeps_back_no_other(
    db: Any, pipeline: MakePipeline, storage: StorageApi
) -> None:
    """The call is made again by halves, and only the one that is left has failed."""
    await db.execute(
        "insert into media_deletion_queue (bucket_name, storage_path, reason)"
        " select 'images', '2024/01/' || n, 'test' from generate_series(1, 64) n"
    )
    for _ in range(7):  # 64, 32, 16, 8, 4, 2, 1
        storage.faults.once("remove", Reason.KEY.fault())
    good = await pipeline()

    assert await Remover(good.database, good.storage, good.metrics.removals).remove() == 64

    (kept,) = await db.fetch("select * from media_deletion_queue")
    assert (kept["attempts"], kept["last_error_code"]) == (1, "storage_path_refused")
    told = await db.fetchval("select count(*) from media_audit_log where event = 'removal refused'")
    assert told == 1
