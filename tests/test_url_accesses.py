"""Whoever asks for a URL is about to look: get_media_url and `pgmedia url` record the access."""

from __future__ import annotations

from typing import Any

from poller.config import Settings
from poller.db import Database
from poller.urls import get_media_url
from tests.test_urls import PDF, PHOTO, Run, StoreFile, run, store_file

__all__ = ["run", "store_file"]


async def test_whoever_asks_for_a_url_is_about_to_look(
    run: Run, settings: Settings, store_file: StoreFile, database: str, db: Any
) -> None:
    private = await store_file(PDF, "application/pdf", "document")
    public = await store_file(PHOTO, "image/jpeg", "image")
    other = await store_file(b"a song", "audio/mpeg", "audio")
    for media in (private, public):
        assert (await run(media))[0] == 0
    caller = await Database.connect(database, "test urls", 1)
    await get_media_url(settings, caller, other, record_access=False)

    rows = await db.fetch("select media_id from media_accesses")
    assert {row[0] for row in rows} == {private, public}
    await get_media_url(settings, caller, other)
    assert await db.fetchval("select count(*) from media_accesses") == 3
    await caller.close()


async def test_a_standby_gives_urls_too(
    settings: Settings, store_file: StoreFile, database: str, db: Any
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    await db.execute(
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on',"
        " current_database()); end $$"
    )
    caller = await Database.connect(database, "test urls", 1)

    assert (await get_media_url(settings, caller, media)).expires_in

    await caller.close()
    assert await db.fetchval("select count(*) from media_accesses") == 0
