"""Where a document goes that is an image: in private, unless its format's row says otherwise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    describe,
    finish_upload,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
)

HASH = sha256(b"x")


@pytest.fixture
async def routed(db: Any) -> None:
    await db.execute(
        "update media_formats set document_goes_as = 'image' where mime_type = 'image/jpeg'"
    )


async def stored(
    db: Any, media_type: str, mime_type: str = "image/jpeg", content_hash: str = HASH
) -> tuple[UUID, str]:
    """An attachment that has come, and the verdict on its bytes."""
    media = await queue_media(db, media_type=media_type)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=content_hash, mime_type=mime_type)
    if begun["verdict"] == "upload":
        await finish_upload(db, media, token, begun["object_id"])
    return media, begun["verdict"]


async def bucket(db: Any, media: UUID) -> str:
    row = await media_row(db, media)
    assert (row["public_url"] is None) == (row["bucket_name"] != "images")
    return row["bucket_name"]


@pytest.fixture(autouse=True)
async def project(db: Any) -> None:
    await db.execute("select set_media_project_url('https://x.example')")


async def test_a_document_stays_private_by_default(db: Any) -> None:
    media, _ = await stored(db, "document")

    assert await bucket(db, media) == "documents"


@pytest.mark.usefixtures("routed")
async def test_an_image_that_was_sent_as_a_document_goes_to_images_if_so_said(db: Any) -> None:
    routed, _ = await stored(db, "document")
    other, _ = await stored(db, "document", "image/png", sha256(b"y"))

    assert await bucket(db, routed) == "images"
    assert await bucket(db, other) == "documents"
    assert (await media_row(db, routed))["media_type"] == "document"


@pytest.mark.parametrize("first", ["image", "document"])
async def test_what_came_in_private_and_in_public_is_stored_in_both(db: Any, first: str) -> None:
    other = {"image": "document", "document": "image"}[first]
    one, _ = await stored(db, first)
    two, verdict = await stored(db, other)

    assert verdict == "upload"  # nothing was shared
    assert {await bucket(db, one), await bucket(db, two)} == {"images", "documents"}
    assert await db.fetchval("select count(distinct object_id) from media") == 2


async def test_a_known_hash_does_not_bring_a_document_into_public(db: Any) -> None:
    await stored(db, "image")
    media = await queue_media(db, media_type="document", sha256=HASH)
    assert await queue_row(db, media)
    token = (await claim(db))[media]

    asked = await describe(db, media, token, sha256=HASH)

    assert asked["verdict"] == "download"


@pytest.mark.usefixtures("routed")
async def test_what_was_private_stays_so_when_the_row_is_changed(db: Any) -> None:
    await db.execute("update media_formats set document_goes_as = null")
    earlier, _ = await stored(db, "document")
    await db.execute("update media_formats set document_goes_as = 'image' where extension = 'jpg'")

    later, verdict = await stored(db, "document")

    assert verdict == "upload"
    assert await bucket(db, earlier) == "documents"
    assert await bucket(db, later) == "images"


@pytest.mark.usefixtures("routed")
async def test_a_routed_document_is_deduplicated_with_images(db: Any) -> None:
    await stored(db, "image")

    linked = await queue_media(db, media_type="document", sha256=HASH)  # as its hash is known
    media = await queue_media(db, media_type="document")
    token = (await claim(db))[media]
    asked = await describe(db, media, token, sha256=HASH)

    assert await queue_row(db, linked) is None
    assert asked["verdict"] == "deduplicated"
    assert {await bucket(db, one) for one in (linked, media)} == {"images"}


@pytest.mark.usefixtures("routed")
async def test_bytes_decide_and_not_what_they_were_announced_as(db: Any) -> None:
    """A PNG, which stays private as a document, announced as JPEG, which does not."""
    await stored(db, "image", "image/png")
    media = await queue_media(db, media_type="document")
    token = (await claim(db))[media]

    asked = await describe(db, media, token, mime_type="image/jpeg", sha256=HASH)
    assert asked["verdict"] == "download"
    begun = await begin_upload(db, media, token, content_hash=HASH, mime_type="image/png")
    await finish_upload(db, media, token, begun["object_id"])

    assert begun["verdict"] == "upload"
    assert await bucket(db, media) == "documents"


@pytest.mark.usefixtures("routed")
async def test_who_waits_for_a_content_gets_it_where_it_belongs(db: Any) -> None:
    """A routed document shares what an image leads; a document of another format does not."""
    leader = await queue_media(db, media_type="image")
    routed = await queue_media(db, media_type="document")
    tokens = await claim(db)
    begun = await begin_upload(db, leader, tokens[leader], content_hash=HASH)
    joined = await begin_upload(db, routed, tokens[routed], content_hash=HASH)
    assert (begun["verdict"], joined["verdict"]) == ("upload", "joined")

    assert await finish_upload(db, leader, tokens[leader], begun["object_id"]) == 1

    assert await bucket(db, routed) == "images"


async def test_a_row_that_leads_to_a_bucket_without_the_format_is_refused(db: Any) -> None:
    with refused("23514"):
        await db.execute(
            "update media_formats set document_goes_as = 'audio' where extension = 'jpg'"
        )
