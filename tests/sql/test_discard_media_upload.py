"""discard_media_upload: a file uploaded too late goes, also when its removal was just under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    finish_upload,
    make_due,
    queue_media,
    refused,
    sha256,
)
from tests.sql.deletions import HASH, claim_deletions, finish_deletions


async def discard(db: Any, begun: Any) -> bool:
    return await db.fetchval(
        "select discard_media_upload($1, $2)", begun["bucket_name"], begun["storage_path"]
    )


async def discard_path(db: Any, path: str) -> bool:
    return await discard(db, {"bucket_name": "images", "storage_path": path})


async def upload_too_late(db: Any, recorded: bool) -> tuple[Any, dict[UUID, int]]:
    """A path whose file is being removed while a poller that lost its lease uploads to it."""
    media = await queue_media(db)
    token = (await claim(db, poller="slow"))[media]
    begun = await begin_upload(db, media, token, poller="slow", content_hash=HASH)
    if recorded:  # by another one, and deleted since
        await db.execute("update media_processing_queue set lease_until = now() - interval '1 s'")
        again = (await claim(db))[media]
        await begin_upload(db, media, again, content_hash=HASH)
        await finish_upload(db, media, again, begun["object_id"])
    await db.execute("select delete_media($1)", media)
    await make_due(db)
    removing = await claim_deletions(db)
    with refused("MD001"):
        await finish_upload(db, media, token, begun["object_id"], poller="slow")
    return begun, removing


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_removal_under_way_does_not_count_for_a_file_that_came_after(
    db: Any, recorded: bool
) -> None:
    begun, removing = await upload_too_late(db, recorded)

    assert await discard(db, begun) is True

    assert await finish_deletions(db, removing) == 0  # it may have removed nothing
    again = await claim_deletions(db)
    assert list(again) == list(removing)
    assert await finish_deletions(db, again) == 1
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert await db.fetchval("select count(*) from media_objects") == 0


@pytest.mark.parametrize("recorded", [True, False])
async def test_after_the_removal_the_file_is_queued_again(db: Any, recorded: bool) -> None:
    begun, removing = await upload_too_late(db, recorded)
    await finish_deletions(db, removing)

    assert await discard(db, begun) is True

    assert len(await claim_deletions(db)) == 1


async def test_a_removal_still_to_come_is_enough(db: Any) -> None:
    media = await queue_media(db)
    begun = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)
    await db.execute("select delete_media($1)", media)

    assert await discard(db, begun) is False

    await make_due(db)
    assert len(await claim_deletions(db)) == 1


@pytest.mark.parametrize("end", ["cancel_media", "delete_media"])
async def test_what_is_still_being_uploaded_is_removed_after_the_lease(db: Any, end: str) -> None:
    media = await queue_media(db)
    begun = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)

    await db.execute(f"select {end}($1)", media)  # its poller hears at its next renewal

    assert await claim_deletions(db) == {}
    row = await db.fetchrow("select *, due_at - now() as due_in from media_deletion_queue")
    assert row["storage_path"] == begun["storage_path"]
    assert timedelta(seconds=59) < row["due_in"] <= timedelta(seconds=60)


@pytest.mark.parametrize("state", ["reserved", "stored"])
async def test_a_path_in_use_is_kept(db: Any, state: str) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    if state == "stored":
        await finish_upload(db, media, token, begun["object_id"])

    assert await discard(db, begun) is False

    assert await claim_deletions(db) == {}


async def test_an_upload_nobody_recorded_is_removed(db: Any) -> None:
    path = f"2026/01/{uuid4()}.jpg"
    assert await discard_path(db, path) is True
    assert await discard_path(db, path) is False

    held = await claim_deletions(db)
    assert len(held) == 1
    assert await finish_deletions(db, held) == 1


@pytest.mark.parametrize("path", ["x.jpg", "2026/01/x.jpg", "mine/2026/01/x.jpg", "../x", ""])
async def test_a_path_that_no_upload_has_is_not_removed(db: Any, path: str) -> None:
    assert await discard_path(db, path) is False

    assert await claim_deletions(db) == {}


async def test_a_path_in_use_is_not_removed(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    path = begun["storage_path"]

    assert await discard_path(db, path) is False  # another attempt is at it
    await finish_upload(db, media, token, begun["object_id"])
    assert await discard_path(db, path) is False  # stored
    await db.execute("select delete_media($1)", media)
    assert await discard_path(db, path) is False  # on its way out

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
