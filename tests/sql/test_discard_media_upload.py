"""discard_media_upload: a file uploaded too late goes, also when its removal was just under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    POLLER,
    begin_upload,
    claim,
    finish_upload,
    make_due,
    queue_media,
    refused,
    sha256,
)

HASH = sha256(b"a photo")


async def discard(db: Any, begun: Any) -> bool:
    return await db.fetchval(
        "select discard_media_upload($1, $2, true)", begun["bucket_name"], begun["storage_path"]
    )


async def claim_deletions(db: Any, poller: str = POLLER) -> dict[UUID, int]:
    rows = await db.fetch("select * from claim_media_deletions($1, 10)", poller)
    return {row["id"]: row["fencing_token"] for row in rows}


async def finish_deletions(db: Any, held: dict[UUID, int], poller: str = POLLER) -> int:
    return await db.fetchval(
        "select finish_media_deletions($1, $2, $3)", poller, list(held), list(held.values())
    )


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
