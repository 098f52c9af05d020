"""cleanup_old_media: what goes by age, and what stays all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import (
    add_message,
    claim,
    events,
    everything,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    store,
)
from tests.sql.lifecycle import age, all_media, clean_up


async def test_the_age_is_that_of_the_message(db: Any) -> None:
    old, young = [await add_message(db) for _ in range(2)]
    await db.execute("update messages set sent_at = now() - interval '31 days' where id = $1", old)
    unknown = await add_message(db)
    await db.execute("update messages set sent_at = null where id = $1", unknown)
    kept = [await queue_media(db, message_id=one) for one in (old, young, unknown)][1:]

    assert await clean_up(db) == 1

    assert await all_media(db) == set(kept)


async def test_what_is_just_too_young_stays(db: Any) -> None:
    await age(db, await queue_media(db), 30.001)
    kept = await age(db, await queue_media(db), 29.999)

    assert await clean_up(db) == 1
    assert await clean_up(db) == 0

    assert await all_media(db) == {kept}


async def test_a_bots_own_rows_have_the_age_of_their_insert(db: Any) -> None:
    await db.execute(
        "insert into media (message_id, whatsapp_media_id) values ($1, 'a')", await add_message(db)
    )

    assert await clean_up(db, 1) == 0
    await db.execute("update media set message_sent_at = now() - interval '2 days'")
    assert await clean_up(db, 1) == 1


async def test_a_shared_file_goes_with_its_last_reference(db: Any) -> None:
    first = await age(db, await store(db, sha256(b"x")), 40)
    second = await queue_media(db, sha256=sha256(b"x"), media_type="image")

    assert await clean_up(db) == 1
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    await age(db, second, 40)
    assert await clean_up(db) == 1

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert await events(db, first) == ["queued", "claimed", "stored", "deleted"]
    detail = "select detail ->> 'by' from media_audit_log where media_id = $1 and event = 'deleted'"
    assert await db.fetchval(detail, first) == "cleanup"
    third = await store(db, sha256(b"z"))
    await db.execute("select delete_media($1)", third)
    assert await db.fetchval(detail, third) is None


async def test_only_some_types(db: Any) -> None:
    kept = await age(db, await queue_media(db, message_type="video", media_type="video"), 40)
    for media_type in ("image", "audio"):
        await age(db, await queue_media(db, media_type=media_type), 40)

    assert await clean_up(db, media_types=["image", "audio", "image"]) == 2

    assert await all_media(db) == {kept}
    await age(db, await queue_media(db, message_type="unknown"), 40)
    assert await db.fetchval("select count(*) from media where media_type is null") == 1
    assert await clean_up(db) == 2  # media of no type, too


async def test_a_dry_run_changes_nothing(db: Any) -> None:
    for _ in range(3):
        await age(db, await queue_media(db), 40)
    before = await everything(db)

    assert await clean_up(db, dry_run=True) == 3
    assert await clean_up(db, dry_run=True, media_types=["video"]) == 0

    assert await everything(db) == before


async def test_work_in_hand_is_left_and_waiting_work_is_not(db: Any) -> None:
    media = await age(db, await queue_media(db), 40)
    assert await claim(db) == {media: 1}
    waiting = await age(db, await queue_media(db), 40)

    assert await clean_up(db) == 1

    assert await media_row(db, media) is not None
    assert await queue_row(db, waiting) is None


@pytest.mark.parametrize("days_old", [0, -1, None, 2_000_000])
async def test_no_age_is_refused(db: Any, days_old: int | None) -> None:
    await age(db, await queue_media(db), 4000)

    with refused("MD022", "null" if days_old is None else str(days_old)):
        await clean_up(db, days_old)

    assert len(await all_media(db)) == 1


async def test_other_bad_arguments_are_refused(db: Any) -> None:
    with refused("MD011", "'gif'"):
        await clean_up(db, media_types=["image", "gif"])
    with refused("MD022", "keep_accessed_days is 0"):
        await clean_up(db, keep_accessed_days=0)
    for at_most in (0, None):
        with refused("MD022", "at_most"):
            await clean_up(db, at_most=at_most)


async def test_a_dry_run_of_null_deletes_nothing(db: Any) -> None:
    await age(db, await queue_media(db), 40)

    with refused("MD022", "dry_run is null"):
        await clean_up(db, dry_run=None)

    assert len(await all_media(db)) == 1
