"""What others see of content that is stored otherwise than it was received."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import claim, events, finish_upload, media_row, queue_media
from tests.sql.encoding import BMP, LARGE, PNG, RECEIVED, RESULT, begin, begun, settle


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
