"""Files that WhatsApp announced and lost, and errors that explain none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import events
from tests.webhook.calls import media_of, receive
from tests.webhook.payloads import Json, edit, lost, media, message, received

DOWNLOAD = lost()["errors"]
UNKNOWN: Json = {"code": 131000, "title": "Something went wrong"}


async def test_lost_media_is_a_failed_row(db: Any) -> None:
    one = lost(type="video")

    summary = await receive(db, received(one))

    assert (summary["media_failed"], summary["media_queued"]) == (1, 0)
    (row,) = await media_of(db, one)
    assert row["media_type"] == "video"
    assert row["failure_code"] == "whatsapp_131052"
    assert row["failure_text"] == (
        "Media download error: Failed to download the media from the sender."
    )
    assert row["failed_at"] is not None
    assert row["status"] is None
    state = await db.fetchval("select status from get_media_status($1)", row["id"])
    assert state == "failed"
    assert await events(db, row["id"]) == ["failed"]
    failed = await db.fetchrow("select media_type, failed_files from media_analytics_deltas")
    assert tuple(failed) == ("video", 1)


async def test_lost_media_of_an_unsupported_type(db: Any) -> None:
    summary = await receive(
        db, received(lost(type="unsupported"), lost(131051, type="unsupported"))
    )

    assert summary["media_failed"] == 1
    assert summary["errors"] == {"whatsapp_131051": 1}
    assert await db.fetchval("select media_type from media") is None


def inside_an_edit(**content: Any) -> Json:
    return edit("wamid.1", {"type": "video", **content})


@pytest.mark.parametrize(
    ("one", "kind", "code", "errors"),
    [
        (inside_an_edit(errors=DOWNLOAD), "video", "131052", {}),
        (inside_an_edit() | {"errors": DOWNLOAD}, "video", "131052", {}),
        (message("edit", edit={"type": "audio", "errors": DOWNLOAD}), "audio", "131052", {}),
        (inside_an_edit(video={"id": ""}, errors=DOWNLOAD), "video", "131052", {}),
        (lost(image={"id": None}), "image", "131052", {}),
        (lost(image={"id": ""}), "image", "131052", {}),
        (lost(image={}), "image", "131052", {}),
        (lost(image=[]), "image", "131052", {}),
        (lost(image="gone"), "image", "131052", {}),
        (lost(errors=[UNKNOWN, *DOWNLOAD]), "image", "131052", {"whatsapp_131000": 1}),
        (lost(errors=[*DOWNLOAD, *DOWNLOAD]), "image", "131052", {"whatsapp_131052": 1}),
        (lost(errors=[UNKNOWN]), "image", "131000", {}),
        (lost(errors=UNKNOWN), "image", "131000", {}),
        (lost(errors=[7]), "image", "unknown", {}),
    ],
)
async def test_every_way_to_lose_a_file(
    db: Any, one: Json, kind: str, code: str, errors: Json
) -> None:
    summary = await receive(db, received(message("text"), one, message("text")))

    assert (summary["media_failed"], summary["media_queued"]) == (1, 0)
    assert summary["errors"] == errors
    (row,) = await media_of(db, one)
    assert (row["media_type"], row["failure_code"]) == (kind, f"whatsapp_{code}")
    again = await receive(db, received(one))
    assert (again["media_failed"], again["errors"]) == (0, errors)


@pytest.mark.parametrize(
    ("one", "errors"),
    [
        (message(image=None), {"media_missing": 1}),
        (message(image=[]), {"media_missing": 1}),
        (message(image=None, errors=[]), {"media_missing": 1}),
        (message(image=None) | {"errors": None}, {"media_missing": 1}),
        (inside_an_edit(), {"media_missing": 1}),
        (message("unsupported", errors=[{"code": 131051}]), {"whatsapp_131051": 1}),
        (message("text", errors=[UNKNOWN, UNKNOWN]), {"whatsapp_131000": 2}),
        (edit("wamid.1", {"type": "text", "errors": [UNKNOWN]}), {"whatsapp_131000": 1}),
    ],
)
async def test_what_explains_no_lost_file_is_counted(db: Any, one: Json, errors: Json) -> None:
    summary = await receive(db, received(one))

    assert summary["errors"] == errors
    assert (summary["media_failed"], summary["media_queued"]) == (0, 0)


async def test_one_file_is_lost_and_another_is_not(db: Any) -> None:
    summary = await receive(db, received(lost(), message(), message(image=[media(), {"id": 5}])))

    assert (summary["media_failed"], summary["media_queued"]) == (1, 3)
    assert summary["errors"] == {}


async def test_media_that_came_with_a_warning_is_not_lost(db: Any) -> None:
    one = message(errors=[{"code": 131000, "title": "Something went wrong"}])

    summary = await receive(db, received(one))

    assert (summary["media_queued"], summary["media_failed"]) == (1, 0)
    assert summary["errors"] == {"whatsapp_131000": 1}
    assert [row["status"] for row in await media_of(db, one)] == ["pending"]


async def test_lost_media_that_comes_after_all(db: Any) -> None:
    one = lost()
    await receive(db, received(one))

    summary = await receive(db, received(message(id=one["id"])))

    assert (summary["duplicates"], summary["media_queued"]) == (1, 1)
    assert [row["status"] for row in await media_of(db, one)] == ["pending", None]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({}, None),
        ({"title": "", "message": "", "error_data": {"details": ""}}, None),
        ({"title": "Gone"}, "Gone"),
        ({"title": "", "message": "It is gone"}, "It is gone"),
        ({"title": "Gone", "message": "a", "error_data": {"details": ""}}, "Gone: a"),
        ({"title": "Gone", "message": "a", "error_data": {"details": "b"}}, "Gone: b"),
    ],
)
async def test_the_text_of_lost_media(db: Any, error: Json, text: str | None) -> None:
    one = lost(errors=[{"code": 131052, **error}])

    assert (await receive(db, received(one)))["media_failed"] == 1

    assert [row["failure_text"] for row in await media_of(db, one)] == [text]


async def test_lost_media_has_the_time_of_its_message(db: Any) -> None:
    timed, untimed = lost(), lost(timestamp=None)
    await receive(db, received(timed, untimed))

    ((one,), (other,)) = await media_of(db, timed), await media_of(db, untimed)
    assert one["message_sent_at"].timestamp() == 1732000000
    assert other["message_sent_at"] is not None
    assert other["message_sent_at"] > one["message_sent_at"]
