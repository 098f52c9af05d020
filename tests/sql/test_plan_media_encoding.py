"""What is encoded, and how: rows and settings."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.helpers import refused, sha256
from tests.sql.encoding import BMP, JPEG, LARGE, PNG, WAV, begun

PHOTO = JPEG | {"frames": 2, "metadata": ["exif", "further images"]}


async def plan(db: Any, facts: dict[str, Any], size: int = LARGE, media_type: str = "image") -> Any:
    _, _, row = await begun(db, facts, size, media_type, sha256(uuid4().bytes))
    assert (row["verdict"] == "encode") == (row["encoding"] is not None)
    return row["encoding"] and json.loads(row["encoding"])


@pytest.mark.parametrize(
    ("facts", "media_type", "expected"),
    [
        (BMP, "image", {"codec": "png", "drop_metadata": True}),
        (BMP, "document", {"codec": "png", "drop_metadata": False}),
        (JPEG, "image",
         {"codec": "jpeg", "edge_most": 4096, "quality": 82, "drop_metadata": True}),
        (JPEG, "document", None),  # who sends it as a document wants it whole
        (PNG, "image", {"codec": "webp", "edge_most": 4096, "quality": 82, "drop_metadata": True}),
        (WAV, "audio", {"codec": "flac", "drop_metadata": False}),
        ({"mime_type": "audio/mpeg"}, "audio", None),
        ({"mime_type": "video/x-msvideo"}, "video", None),
        ({"mime_type": "video/quicktime"}, "video", None),
        ({"mime_type": "video/3gpp"}, "video", None),
        (PNG | {"frames": 2}, "image", None),
        (PHOTO, "image",
         {"codec": "jpeg", "edge_most": 4096, "quality": 82, "drop_metadata": True}),
        ({"mime_type": "image/gif", "frames": 1}, "image", None),
    ],
)  # fmt: skip
async def test_large_files_are_encoded_as_the_rows_say(
    db: Any, facts: dict[str, Any], media_type: str, expected: dict[str, Any] | None
) -> None:
    found = await plan(db, facts, media_type=media_type)

    assert found == (expected and {"from": facts["mime_type"]} | expected)


@pytest.mark.parametrize(("size", "is_encoded"), [(5_242_880, False), (5_242_881, True)])
async def test_the_threshold_is_five_megabytes(db: Any, size: int, is_encoded: bool) -> None:
    assert bool(await plan(db, BMP, size)) == is_encoded


@pytest.mark.parametrize(("setting", "is_encoded"), [("1000", True), ("null", False)])
async def test_the_threshold_is_set_for_a_bucket_or_off(
    db: Any, setting: str, is_encoded: bool
) -> None:
    await db.execute(
        f"update media_buckets set compress_above = {setting} where bucket_name = 'images'"
    )
    size = 1001 if is_encoded else 50_000_000

    assert bool(await plan(db, BMP, size)) == is_encoded


async def test_every_setting_is_in_the_plan(db: Any) -> None:
    await db.execute("select set_media_setting('image_edge_most', '1000')")
    await db.execute("select set_media_setting('image_quality', '50')")
    await db.execute("select set_media_setting('opus_bit_rate', '24000')")
    await db.execute("select set_media_setting('strip_public_images', 'false')")
    await db.execute("update media_encodings set codec = 'opus' where codec = 'flac'")

    image, sound = await plan(db, JPEG), await plan(db, WAV, media_type="audio")

    assert (image["edge_most"], image["quality"], image["drop_metadata"]) == (1000, 50, False)
    assert (sound["codec"], sound["bit_rate"]) == ("opus", 24000)


async def test_a_photo_keeps_its_further_images_where_it_keeps_its_metadata(db: Any) -> None:
    await db.execute("update media_buckets set compress_lossy = true")

    assert await plan(db, PHOTO, media_type="document") is None

    await db.execute("select set_media_setting('strip_public_images', 'false')")
    assert await plan(db, PHOTO) is None


async def test_metadata_of_public_images_goes_whatever_their_size(db: Any) -> None:
    found = JPEG | {"metadata": ["gps"]}

    assert await plan(db, found, 1000) == {"from": "image/jpeg", "drop_metadata": True}
    assert await plan(db, JPEG, 1000) is None
    assert await plan(db, found, 1000, "document") is None
    assert (await plan(db, BMP | {"frames": 9, "metadata": ["xmp"]}))["drop_metadata"]
    await db.execute("select set_media_setting('strip_public_images', 'false')")
    assert await plan(db, found, 999) is None


@pytest.mark.parametrize(
    "row", ["('image/gif', 'flac')", "('audio/wav', 'png')", "('text/plain', 'png')"]
)
async def test_rows_that_make_no_sense_are_refused(db: Any, row: str) -> None:
    with refused("23514"):
        await db.execute(
            f"insert into media_encodings values {row}"
            " on conflict (mime_type) do update set codec = excluded.codec"
        )
