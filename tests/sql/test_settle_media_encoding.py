"""What is stored instead of what was received: settle_media_encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import claim, expire_lease, finish_upload, media_row, queue_media, refused
from tests.sql.encoding import BMP, LARGE, PNG, RECEIVED, RESULT, begin, begun, settle


@pytest.mark.parametrize(
    ("facts", "size", "words"),
    [
        (PNG, LARGE * 9 // 10 + 1, "not 10 % less"),
        (PNG | {"flags": ["damaged"]}, 1000, "damaged_file"),
        (PNG | {"metadata": ["exif"]}, 1000, "still is metadata"),
        ({"mime_type": "image/x-unknown"}, 1000, "type_not_allowed"),
        ({"mime_type": "application/pdf"}, 1000, "type_mismatch"),
    ],
)
async def test_a_result_that_is_no_good_is_thrown_away(
    db: Any, facts: dict[str, Any], size: int, words: str
) -> None:
    media, token, asked = await begun(db, BMP)

    told = await settle(db, media, token, asked, facts, size)

    assert (told["verdict"], told["stored_hash"]) == ("upload", RECEIVED)
    assert told["storage_path"].endswith(".bmp")
    await finish_upload(db, media, token, told["object_id"])
    thing = await db.fetchrow("select * from media_objects")
    assert (thing["stored_hash"], thing["stored_size"]) == (RECEIVED, LARGE)
    assert thing["stored_type"] is None
    assert words in json.loads(thing["encoding"])["problem"]
    assert (await media_row(db, media))["mime_type"] == "image/bmp"


async def test_ten_percent_less_is_enough(db: Any) -> None:
    media, token, asked = await begun(db, BMP)

    assert (await settle(db, media, token, asked, PNG, LARGE * 9 // 10))["stored_hash"] == RESULT


async def test_a_type_that_the_formats_have_lost_is_not_stored(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    await db.execute("delete from media_formats where mime_type = 'image/png'")

    told = await settle(db, media, token, asked, PNG, 1000)

    assert (told["stored_hash"], told["content_type"]) == (RECEIVED, "image/bmp")


async def test_a_call_that_is_repeated_has_the_same_answer(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    first = await settle(db, media, token, asked, PNG, 1000)

    assert tuple(await settle(db, media, token, asked, PNG, 1000)) == tuple(first)


@pytest.mark.parametrize("path_is_public", [True, False])
async def test_what_an_attempt_left_of_another_type_is_removed(
    db: Any, path_is_public: bool
) -> None:
    media_type = "image" if path_is_public else "document"
    media, token, asked = await begun(db, BMP, media_type=media_type)
    left = await settle(db, media, token, asked, PNG, 1000)  # uploaded, and then the poller died
    await expire_lease(db, media)
    token = (await claim(db))[media]
    asked = await begin(db, media, token, BMP)

    told = await settle(db, media, token, asked, problem="no memory this time")
    await finish_upload(db, media, token, told["object_id"])

    assert told["storage_path"].endswith(".bmp")
    assert told["object_id"] != left["object_id"]
    (gone,) = await db.fetch("select bucket_name, storage_path from media_deletion_queue")
    assert tuple(gone) == (left["bucket_name"], left["storage_path"])
    assert await db.fetchval("select count(*) from media_objects") == 1
    assert (await media_row(db, media))["storage_path"] == told["storage_path"]


async def test_a_repeated_call_finds_what_the_first_has_replaced(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    await settle(db, media, token, asked, PNG, 1000)
    await expire_lease(db, media)
    token = (await claim(db))[media]
    asked = await begin(db, media, token, BMP)
    first = await settle(db, media, token, asked, problem="no memory this time")

    again = await settle(db, media, token, asked, problem="no memory this time")

    assert tuple(again) == tuple(first)
    assert first["object_id"] != asked["object_id"]
    await finish_upload(db, media, token, again["object_id"])


async def test_an_attempt_of_the_same_type_keeps_the_path(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    left = await settle(db, media, token, asked, PNG, 1000)
    await expire_lease(db, media)
    token = (await claim(db))[media]

    told = await settle(db, media, token, await begin(db, media, token, BMP), PNG, 1000)

    assert tuple(told) == tuple(left)
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0


async def test_an_encoding_that_is_switched_off_between_attempts(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    await settle(db, media, token, asked, PNG, 1000)
    await expire_lease(db, media)
    await db.execute("update media_buckets set compress_above = null")
    token = (await claim(db))[media]

    told = await begin(db, media, token, BMP)

    assert (told["verdict"], told["stored_hash"]) == ("upload", RECEIVED)
    assert told["storage_path"].endswith(".bmp")
    await finish_upload(db, media, token, told["object_id"])
    thing = await db.fetchrow("select * from media_objects")
    assert (thing["stored_hash"], thing["encoding"]) == (RECEIVED, None)


async def test_without_the_lease_nothing_is_settled(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    await expire_lease(db, media)
    await claim(db, poller="poller-2")

    with refused("MD001"):
        await settle(db, media, token, asked, PNG, 1000)


async def test_an_object_of_somebody_else_is_not_settled(db: Any) -> None:
    _, _, other = await begun(db, BMP)
    media = await queue_media(db, media_type="image")
    token = (await claim(db))[media]

    with refused("MD002"):
        await settle(db, media, token, other, PNG, 1000)


async def test_an_attempt_with_other_bytes_has_another_path(db: Any) -> None:
    """A late upload of the first must not replace what the second has stored."""
    media, token, asked = await begun(db, BMP)
    first = await settle(db, media, token, asked, PNG, 1000)
    await expire_lease(db, media)
    token = (await claim(db))[media]
    again = await begin(db, media, token, BMP)
    await db.execute("update media_objects set stored_hash = repeat('0', 64)")  # of another encoder

    second = await settle(db, media, token, again, PNG, 1000)

    assert second["storage_path"] != first["storage_path"]
    removed = await db.fetchval("select storage_path from media_deletion_queue")
    assert removed == first["storage_path"]
