"""A poller's calls about a job are fenced by (id, poller, token): else MD001, and no change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    POLLER,
    begin_upload,
    claim,
    describe,
    everything,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    queue_media,
    refused,
    sha256,
)

HASH = sha256(b"a photo")


async def _describe(db: Any, media: UUID, token: int, poller: str) -> Any:
    return await describe(db, media, token, poller=poller, sha256=HASH)


async def _begin(db: Any, media: UUID, token: int, poller: str) -> Any:
    return await begin_upload(db, media, token, poller=poller, content_hash=HASH)


async def _finish(db: Any, media: UUID, token: int, poller: str) -> Any:
    object_id = await db.fetchval("select id from media_objects where leader_id = $1", media)
    return await finish_upload(db, media, token, object_id or UUID(int=1), poller=poller)


async def _fail(db: Any, media: UUID, token: int, poller: str) -> Any:
    return await fail(db, media, token, poller=poller, code="190")


CALLS = [_describe, _begin, _finish, _fail]


@pytest.mark.parametrize("call", CALLS)
async def test_an_older_token_or_another_poller_changes_nothing(db: Any, call: Any) -> None:
    media = await queue_media(db)
    old = (await claim(db, poller="old"))[media]
    await begin_upload(db, media, old, poller="old", content_hash=HASH)
    await expire_lease(db, media)
    token = (await claim(db))[media]
    before = await everything(db)

    for held_token, poller in [
        (old, "old"),  # lost its lease
        (old, POLLER),  # the same poller, an earlier claim
        (token, "old"),
        (token + 1, POLLER),
        (token, POLLER.upper()),
    ]:
        with refused("MD001", str(media)):
            await call(db, media, held_token, poller)

    assert await everything(db) == before
    await call(db, media, token, POLLER)  # the holder may


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ["stored", "failed", "retried", "released", "deleted", "expired"])
async def test_a_job_that_is_no_longer_held_cannot_be_written(db: Any, call: Any, end: str) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    if end == "stored":
        await finish_upload(db, media, token, begun["object_id"])
    elif end == "failed":
        await fail(db, media, token, code="100")
    elif end == "retried":
        await fail(db, media, token)
    elif end == "released":
        await db.execute("select release_media_jobs($1, array[$2::uuid], array[1])", POLLER, media)
    elif end == "expired":
        await expire_lease(db, media)
        await db.execute("update media_processing_queue set attempts = max_attempts")
        assert await claim(db) == {}
    else:
        await db.execute("select delete_media($1)", media)
    before = await everything(db)

    with refused("MD001", str(media)):
        await call(db, media, token, POLLER)

    assert await everything(db) == before


@pytest.mark.parametrize("call", CALLS)
async def test_a_null_is_nobody(db: Any, call: Any) -> None:
    media = await queue_media(db)
    await claim(db)

    for token, poller in [(None, POLLER), (1, None)]:
        with refused("MD001"):
            await call(db, media, token, poller)


async def test_a_row_that_waits_cannot_be_written(db: Any) -> None:
    leader, media = await queue_media(db), await queue_media(db)
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=HASH)
    assert (await describe(db, media, held[media], sha256=HASH))["verdict"] == "joined"

    for call in CALLS:
        with refused("MD001"):
            await call(db, media, held[media], POLLER)


async def test_the_call_for_an_expired_lease_nobody_took_over_still_counts(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=HASH)
    await expire_lease(db, media)

    await finish_upload(db, media, token, begun["object_id"])

    await make_due(db)
    assert await claim(db) == {}
