"""Images that must lose their metadata before they are stored: settle_media_encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import POLLER, claim, finish_upload, make_due, media_row, queue_media, status
from tests.sql.encoding import BMP, JPEG, LARGE, RECEIVED, RESULT, begin, begun, settle


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


PLACE = JPEG | {"metadata": ["gps"]}


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (None, "it cannot be walked"),
        (PLACE, "there still is metadata in it"),
        (JPEG | {"width": 11}, "it is another image"),
        (JPEG | {"frames": 3}, "it has other frames"),
        (BMP, "it is another image"),
    ],
)
async def test_an_image_that_cannot_lose_it_is_refused_at_once(
    db: Any, facts: dict[str, Any] | None, problem: str
) -> None:
    media, token, asked = await begun(db, PLACE, 1000)
    waiting = await queue_media(db, media_type="image")
    joined = await begin(db, waiting, (await claim(db))[waiting], PLACE, 1000)

    told = await settle(
        db, media, token, asked, facts, 900,
        problem=None if facts else problem, problem_code=None if facts else "kept",
    )  # fmt: skip

    assert joined["verdict"] == "joined"
    assert (told["verdict"], told["reason"]) == ("rejected", "metadata_not_removed")
    for one in (media, waiting):
        row = await status(db, one)
        assert (row["status"], row["error_code"]) == ("failed", "metadata_not_removed")
        assert problem in row["error_text"]
        row = await media_row(db, one)
        assert (row["content_hash"], row["file_size"]) == (RECEIVED, 1000)
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_its_bytes_go_into_quarantine_as_those_of_others(db: Any) -> None:
    await db.execute("select set_media_setting('quarantine_refused', 'true')")
    media, token, asked = await begun(db, PLACE, 1000)

    told = await settle(db, media, token, asked, problem="no", problem_code="kept")

    assert (told["verdict"], told["bucket_name"]) == ("quarantine", "media-quarantine")
    assert await db.fetchval(
        "select settle_media_quarantine($1, 'poller-1', $2, $3, true)",
        media, token, told["storage_path"],
    ) == "rejected"  # fmt: skip
    assert (await status(db, media))["error_code"] == "metadata_not_removed"
    assert await db.fetchval("select count(*) from media_objects") == 0


@pytest.mark.parametrize("code", ["check_failed", None])
async def test_a_child_that_crashes_is_tried_again_and_not_for_ever(
    db: Any, code: str | None
) -> None:
    media, token, asked = await begun(db, PLACE, 1000)
    for attempt in range(1, 6):
        told = await settle(db, media, token, asked, problem="exit code -6", problem_code=code)
        assert told["reason"] == "metadata_not_removed"
        assert told["verdict"] == ("retry" if attempt < 5 else "failed")
        if attempt < 5:
            await make_due(db)
            token = (await claim(db))[media]
            asked = await begin(db, media, token, PLACE, 1000)

    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("failed", "metadata_not_removed")
    assert "exit code -6" in row["error_text"]
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_a_poller_without_room_for_the_result_rests(db: Any) -> None:
    media, token, asked = await begun(db, PLACE, 1000)

    told = await settle(db, media, token, asked, problem="disk full", problem_code="spool_full")

    assert (told["verdict"], told["reason"]) == ("paused", "spool_full")
    assert await db.fetchval("select scope from media_pauses") == f"poller:{POLLER}"
    row = await status(db, media)
    assert (row["status"], row["attempts"]) == ("pending", 0)


async def test_without_room_for_what_may_be_done_the_file_is_stored_as_it_came(db: Any) -> None:
    media, token, asked = await begun(db, BMP)

    told = await settle(db, media, token, asked, problem="disk full", problem_code="spool_full")

    assert (told["verdict"], told["stored_hash"]) == ("upload", RECEIVED)


async def test_the_further_images_of_a_camera_may_go(db: Any) -> None:
    media, token, asked = await begun(
        db, JPEG | {"frames": 2, "metadata": ["exif", "further images"]}, 1000
    )

    assert (await settle(db, media, token, asked, JPEG, 900))["verdict"] == "upload"
