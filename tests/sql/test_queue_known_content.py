"""queue_media_processing of content that is stored or on its way."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    describe,
    events,
    eventually,
    media_row,
    queue_media,
    queue_row,
    sha256,
    status,
    store,
)

HASH = sha256(b"a photo")
BASE64 = base64.b64encode(bytes.fromhex(HASH)).decode()


async def test_stored_content_is_linked_at_once(db: Any) -> None:
    first = await store(db, HASH)

    media = await queue_media(db, sha256=BASE64)

    linked, original = await media_row(db, media), await media_row(db, first)
    names = ("object_id", "content_hash", "bucket_name", "storage_path", "mime_type", "file_size")
    assert [linked[name] for name in names] == [original[name] for name in names]
    assert linked["processed"]
    assert await queue_row(db, media) is None
    assert await events(db, media) == ["queued", "deduplicated"]
    assert await claim(db) == {}


@pytest.mark.parametrize(("stored_as", "sent_as"), [("image", "document"), ("document", "image")])
async def test_content_is_not_shared_across_visibilities(
    db: Any, stored_as: str, sent_as: str
) -> None:
    await store(db, HASH, media_type=stored_as)

    media = await queue_media(db, media_type=sent_as, sha256=HASH)

    assert (await status(db, media))["status"] == "pending"
    token = (await claim(db))[media]
    described = await describe(db, media, token, sha256=HASH)
    assert described["verdict"] == "download"
    begun = await begin_upload(db, media, token, content_hash=HASH)
    assert begun["verdict"] == "upload"
    assert begun["bucket_name"] == {"image": "images", "document": "documents"}[sent_as]


@pytest.mark.parametrize(("leads_as", "sent_as"), [("image", "document"), ("document", "image")])
async def test_content_in_flight_is_not_joined_across_visibilities(
    db: Any, leads_as: str, sent_as: str
) -> None:
    await queue_media(db, media_type=leads_as, sha256=HASH)

    media = await queue_media(db, media_type=sent_as, sha256=HASH)

    assert (await status(db, media))["status"] == "pending"


async def test_stored_content_is_not_linked_where_its_format_may_not_arrive(db: Any) -> None:
    await store(db, HASH, media_type="document")  # a photo, sent as a document: private

    media = await queue_media(db, media_type="audio", sha256=HASH)  # private as well

    assert (await status(db, media))["status"] == "pending"


@pytest.mark.parametrize("claimed", [False, True])
async def test_content_in_flight_is_joined(db: Any, claimed: bool) -> None:
    leader = await queue_media(db, sha256=HASH)
    if claimed:
        await claim(db)

    media = await queue_media(db, sha256=HASH)

    row = await queue_row(db, media)
    assert (row["status"], row["waiting_for"], row["content_hash"]) == ("waiting", leader, HASH)
    assert await events(db, media) == ["queued", "joined"]
    assert media not in await claim(db)


async def test_a_dead_letter_is_not_joined(db: Any) -> None:
    dead = await queue_media(db, sha256=HASH)
    await describe(db, dead, (await claim(db))[dead], mime_type="text/html")

    media = await queue_media(db, sha256=HASH)

    assert (await status(db, media))["status"] == "pending"


async def test_what_waits_for_another_wakes_nobody(connect: Connect, db: Any) -> None:
    leader = await queue_media(db, sha256=HASH)
    listener = await connect()
    heard: list[int] = []

    def on_event(_connection: Any, pid: int, _channel: str, _payload: Any) -> None:
        heard.append(pid)

    await listener.add_listener("pgmedia_wake", on_event)
    other = await connect()
    media = await queue_media(other, sha256=HASH)
    await db.execute("notify pgmedia_wake")
    await eventually(lambda: heard)

    assert heard == [db.get_server_pid()]
    assert (await queue_row(db, media))["waiting_for"] == leader
