"""The client of Supabase Storage: removals, uploads cut short, and headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from poller.sandbox.storage import StorageApi
from poller.storage import REMOVE_AT_MOST, Storage
from tests.helpers import begin_upload, claim, eventually, queue_media
from tests.storage_client.conftest import (
    PATH,
    PNG,
    failure_of,
    upload,
)


async def test_files_are_removed(api: Storage, storage: StorageApi, files: Path) -> None:
    paths = [f"2026/11/{number}.png" for number in range(5)]
    for path in paths:
        await upload(api, path=path)

    await api.remove("media", [*paths[:4], "2026/11/never there.png"])

    left = [file.name for file in (files / "media").rglob("*.png")]
    assert left == ["4.png"]
    await api.remove("media", paths[:4])  # once more is no error
    assert storage.requests["remove"] == 2


async def test_as_many_files_as_one_call_may_remove(api: Storage) -> None:
    await api.remove("media", [f"{number}.png" for number in range(REMOVE_AT_MOST)])

    failure = await failure_of(api.remove("media", [f"{n}.png" for n in range(REMOVE_AT_MOST + 1)]))

    assert failure.http_status == 400


async def test_an_upload_that_is_cut_short_stores_nothing(
    api: Storage, storage: StorageApi, files: Path
) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield PNG[:500]
        raise OSError("the disk is gone")

    failure = await failure_of(
        api.upload("media", PATH, half(), size=len(PNG), content_type="image/png", cache_control="")
    )

    assert failure.provider_code == "network"
    await eventually(lambda: storage.requests["upload"] == 1)
    assert not (files / "media" / PATH).exists()


async def test_what_the_database_says_about_caching_is_a_header(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash="ab" * 32)

    assert begun["cache_control"] == "max-age=31536000, immutable"
