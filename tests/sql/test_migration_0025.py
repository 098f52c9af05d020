"""The migration that brings encodings, with files in storage and on their way: an upgrade."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import MigrationError, migrate, rollback
from tests.helpers import finish_upload, media_row, queue_media, sha256, store
from tests.migrations import difference_lines, yoyo

MIGRATION = "0025.encode-large-media"
STORED, UNDER_WAY = sha256(b"stored"), sha256(b"under way")


@pytest.fixture
async def before(database: str) -> Any:
    """The schema of the version before, with a file that is stored and one being uploaded."""
    db: Any = await asyncpg.connect(database)
    await store(db, STORED)
    await asyncio.to_thread(yoyo, database, "rollback", "-r", MIGRATION)
    media = await queue_media_by_hand(db)
    yield db, media
    await db.close()


async def queue_media_by_hand(db: Any) -> Any:
    """An upload that was begun by a poller of the version before."""
    message = await db.fetchval(
        "insert into messages (whatsapp_message_id, sender, message_type, sent_at)"
        " values ($1, '49', 'image', now()) returning id", uuid4().hex,
    )  # fmt: skip
    media = await db.fetchval(
        "insert into media (message_id, whatsapp_media_id, media_type) values ($1, 'm', 'image')"
        " returning id", message,
    )  # fmt: skip
    await db.execute(
        "insert into media_processing_queue (id, message_id, whatsapp_media_id, source, status,"
        " attempts, max_attempts, fencing_token, claimed_by, lease_until)"
        " values ($1, $2, 'm', 'whatsapp:1', 'processing', 1, 5, 1, 'poller-1',"
        " now() + interval '1 hour')", media, message,
    )  # fmt: skip
    await db.execute(
        "insert into media_objects (content_hash, is_public, leader_id, file_size, mime_type,"
        " bucket_name, storage_path)"
        " values ($1, true, $2, 1000, 'image/jpeg', 'images', '2026/11/a.jpg')",
        UNDER_WAY, media,
    )  # fmt: skip
    return media


async def test_what_is_stored_and_under_way_goes_on(database: str, before: Any) -> None:
    db, media = before

    done = await asyncio.to_thread(migrate, SecretStr(database))
    found = await db.fetchval("select id from media_objects where content_hash = $1", UNDER_WAY)
    await finish_upload(db, media, 1, found)

    assert (done.applied, done.differences) == ([MIGRATION], [])
    assert difference_lines(database) == []
    rows = await db.fetch("select * from media_objects order by stored_at")
    for row, content_hash in zip(rows, (STORED, UNDER_WAY), strict=True):
        assert (row["content_hash"], row["stored_hash"]) == (content_hash, content_hash)
        assert (row["stored_size"], row["stored_type"], row["encoding"]) == (1000, None, None)
    assert (await media_row(db, media))["mime_type"] == "image/jpeg"
    buckets = await db.fetch("select bucket_name from media_buckets where compress_lossy")
    assert {name for (name,) in buckets} == {"images", "audio", "videos"}


async def test_formats_that_were_removed_bring_no_encoding(database: str, before: Any) -> None:
    db, _ = before
    await db.execute("delete from media_formats where mime_type in ('image/bmp', 'audio/wav')")

    await asyncio.to_thread(migrate, SecretStr(database))

    left = await db.fetch("select mime_type from media_encodings order by 1")
    assert [name for (name,) in left] == ["image/jpeg", "image/png", "image/tiff", "image/webp"]


async def test_tables_of_these_names_stop_it(database: str, before: Any) -> None:
    db, _ = before
    await db.execute("create table media_quarantine (id integer)")

    with pytest.raises(MigrationError, match="media_quarantine"):
        await asyncio.to_thread(migrate, SecretStr(database))


async def test_a_rollback_lets_no_refused_file_stay(database: str) -> None:
    db: Any = await asyncpg.connect(database)
    await queue_media(db)
    await db.execute(
        "insert into media_quarantine (content_hash, media_id, file_size, failure_code, keep_until)"
        " values ($1, gen_random_uuid(), 1, 'macros', now())", STORED,
    )  # fmt: skip

    await asyncio.to_thread(yoyo, database, "rollback", "-r", MIGRATION)

    assert await db.fetchval("select bucket_name from media_deletion_queue") == "media-quarantine"
    await db.close()
    await asyncio.to_thread(rollback, SecretStr(database))
