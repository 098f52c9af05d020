"""What is stored instead of what was received: settle_media_encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import (
    claim,
    events,
    expire_lease,
    finish_upload,
    make_due,
    media_row,
    queue_media,
    queue_row,
    refused,
    status,
)
from tests.sql.encoding import BMP, JPEG, LARGE, PNG, RECEIVED, RESULT, begin, begun, settle


async def test_the_stored_name_and_type_follow_the_stored_bytes(db: Any) -> None:
    await db.execute("select set_media_project_url('https://x.example')")
    media, token, asked = await begun(db, BMP)
    assert (asked["storage_path"], asked["stored_hash"]) == (None, None)

    told = await settle(db, media, token, asked, PNG, LARGE // 2)
    await finish_upload(db, media, token, told["object_id"])

    assert (told["verdict"], told["stored_hash"]) == ("upload", RESULT)
    assert told["storage_path"].endswith(f"{told['object_id']}.png")
    assert told["content_type"] == "image/png"
    row, thing = await media_row(db, media), await db.fetchrow("select * from media_objects")
    assert (row["mime_type"], row["file_size"], row["content_hash"]) == (
        "image/png", LARGE // 2, RECEIVED,
    )  # fmt: skip
    assert row["public_url"].endswith(".png")
    assert (thing["content_hash"], thing["stored_hash"]) == (RECEIVED, RESULT)
    assert (thing["file_size"], thing["stored_size"]) == (LARGE, LARGE // 2)
    assert (thing["mime_type"], thing["stored_type"]) == ("image/bmp", "image/png")
    found = await db.fetchrow("select * from check_media_exists($1)", RECEIVED)
    assert (found["mime_type"], found["file_size"]) == ("image/png", LARGE // 2)
    (detail,) = await db.fetch(
        "select detail from get_media_audit_trail($1) where event = 'stored'", media
    )
    assert json.loads(detail[0])["encoding"] == {
        "from": "image/bmp", "codec": "png", "drop_metadata": True, "size": LARGE // 2,
        "checks": PNG,
    }  # fmt: skip
    assert json.loads(detail[0])["encoding"] == json.loads(thing["encoding"])


async def test_a_second_arrival_needs_no_encoding(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    waiting = await queue_media(db, media_type="image")
    joined = await begin(db, waiting, (await claim(db))[waiting], BMP)
    told = await settle(db, media, token, asked, PNG, 1000)
    await finish_upload(db, media, token, told["object_id"])

    _, _, later = await begun(db, BMP)

    assert (joined["verdict"], later["verdict"]) == ("joined", "deduplicated")
    rows = await db.fetch("select distinct storage_path, mime_type, file_size from media")
    assert [tuple(row) for row in rows] == [(told["storage_path"], "image/png", 1000)]


async def test_a_private_arrival_is_another_object(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    told = await settle(db, media, token, asked, PNG, 1000)
    await finish_upload(db, media, token, told["object_id"])

    _, _, private = await begun(db, BMP, media_type="document")

    assert private["verdict"] == "encode"
    assert private["object_id"] != told["object_id"]


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


async def test_metadata_goes_also_where_nothing_was_saved(db: Any) -> None:
    found = JPEG | {"metadata": ["gps"]}
    media, token, asked = await begun(db, found)

    again = await settle(db, media, token, asked, problem="the encoder crashed")

    assert again["verdict"] == "encode"
    assert "codec" not in json.loads(again["encoding"])
    assert json.loads(again["encoding"])["drop_metadata"]
    told = await settle(db, media, token, again, JPEG, LARGE - 100)
    assert (told["verdict"], told["stored_hash"]) == ("upload", RESULT)
    await finish_upload(db, media, token, told["object_id"])
    kept = json.loads(await db.fetchval("select encoding from media_objects"))
    assert kept["tried"]["problem"] == "the encoder crashed"


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (None, "it cannot be walked"),
        (JPEG | {"metadata": ["gps"]}, "there still is metadata in it"),
        (JPEG | {"width": 11}, "it is another image"),
        (JPEG | {"frames": 3}, "it has other frames"),
        (BMP, "it is another image"),
    ],
)
async def test_metadata_that_stays_is_never_stored_in_public(
    db: Any, facts: dict[str, Any] | None, problem: str
) -> None:
    media, token, asked = await begun(db, JPEG | {"metadata": ["gps"]}, 1000)
    for _ in range(20):
        told = await settle(db, media, token, asked, facts, 900, problem=None if facts else problem)
        assert told["verdict"] == "retry"
        if (await queue_row(db, media))["status"] == "failed":
            break
        await make_due(db)
        token = (await claim(db))[media]
        asked = await begin(db, media, token, JPEG | {"metadata": ["gps"]}, 1000)

    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("failed", "metadata_not_removed")
    assert problem in row["error_text"]
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_the_further_images_of_a_camera_may_go(db: Any) -> None:
    media, token, asked = await begun(
        db, JPEG | {"frames": 2, "metadata": ["exif", "further images"]}, 1000
    )

    assert (await settle(db, media, token, asked, JPEG, 900))["verdict"] == "upload"


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


async def test_figures_and_deletion_go_by_what_is_in_storage(db: Any) -> None:
    media, token, asked = await begun(db, BMP)
    told = await settle(db, media, token, asked, PNG, 1000)
    await finish_upload(db, media, token, told["object_id"])
    stats = json.loads(await db.fetchval("select get_media_storage_stats()"))
    assert stats["stored_bytes"] == 1000

    await db.execute("select delete_media($1)", media)

    stats = json.loads(await db.fetchval("select get_media_storage_stats()"))
    assert (stats["stored_bytes"], stats["deleted_bytes"]) == (0, 1000)
    (gone,) = await db.fetch("select storage_path from media_deletion_queue")
    assert gone["storage_path"] == told["storage_path"]
    assert await events(db, media) == ["queued", "claimed", "stored", "deleted"]


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [("scan.bmp", "scan.png"), ("Scan.BMP", "Scan.png"), ("scan", "scan.png"), (None, None)],
)
async def test_a_download_is_named_by_what_it_is(
    db: Any, file_name: str | None, expected: str | None
) -> None:
    media = await queue_media(db, media_type="document", file_name=file_name)
    token = (await claim(db))[media]
    told = await settle(db, media, token, await begin(db, media, token, BMP), PNG, 1000)
    await finish_upload(db, media, token, told["object_id"])

    name = await db.fetchval(
        "select attachment_name from get_media_url_policy($1, null, true)", media
    )

    assert name == (expected or f"{media}.png")
