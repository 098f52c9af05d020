"""Short words for what the tests of Storage say often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from poller.pipeline import Pipeline
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import make_due, queue_media

JPEG = SAMPLES[0].read()


async def attempt(pipeline: Pipeline) -> str:
    (job,) = await pipeline.database.claim(1)
    return (await pipeline.process(job)).verdict


async def fault_is_over(db: Any, storage: StorageApi) -> None:
    storage.faults.clear()
    await db.execute("select resume_media_source(scope) from media_pauses")
    await make_due(db)


async def stored_once(db: Any, media: Any, files: Path, content: bytes) -> None:
    assert await db.fetchval("select processed from media where id = $1", media)
    (file,) = (files / "images").rglob("*.jpg")
    assert file.read_bytes() == content


async def change_bucket(storage: StorageApi, name: str, setting: dict[str, object]) -> None:
    """Set a bucket otherwise than pgmedia does."""
    async with httpx.AsyncClient() as client:
        changed = await client.put(
            f"{storage.url}/storage/v1/bucket/{name}",
            json=setting,
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )
    assert changed.is_success


async def send(
    db: Any, whatsapp: WhatsAppApi, content: bytes, mime_type: str, media_type: str = "image",
    **arguments: Any,
) -> Any:  # fmt: skip
    media_id = whatsapp.add_media(content, mime_type)
    return await queue_media(db, media_id, media_type=media_type, **arguments)


def files_of(files: Path, *suffixes: str) -> list[str]:
    return [one.name for one in files.rglob("*") if one.suffix in suffixes]


def stored(files: Path, row: Any) -> bytes:
    return (files / row["bucket_name"] / row["storage_path"]).read_bytes()
