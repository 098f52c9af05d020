"""fix_media_differences: lost files are fetched again, orphans go, what changed is left alone."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    events,
    fail,
    finish_upload,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
    store,
)
from tests.sql.reconcile import (
    NOBODY,
    ORPHAN,
    File,
    X,
    age,
    check,
    confirmed,
    differences,
    figures,
    file,
    fix,
    gone,
    stored_file,
)


async def test_an_orphan_is_removed(db: Any) -> None:
    run = await confirmed(db, [file(ORPHAN)], file(ORPHAN))

    assert await fix(db, run, file(ORPHAN)) == {ORPHAN: "removal queued"}

    (left,) = await db.fetch("select * from media_deletion_queue")
    assert (left["storage_path"], left["reason"], left["object_id"]) == (ORPHAN, "orphan", None)
    assert await events(db, NOBODY) == ["orphan"]
    trail = await db.fetchrow("select detail from get_media_audit_trail($1)", NOBODY)
    assert json.loads(trail["detail"])["storage_path"] == ORPHAN
    assert await fix(db, run, file(ORPHAN)) == {}
    held = await db.fetchrow("select * from claim_media_deletions('one', 9)")
    await db.execute(
        "select finish_media_deletions('one', $1, $2)", [held["id"]], [held["fencing_token"]]
    )
    assert await db.fetch("select * from media_deletion_queue") == []
    assert await events(db, NOBODY) == ["orphan", "file removed"]


async def test_attachments_without_their_file_are_fetched_again(db: Any) -> None:
    other, first = await store(db, sha256(b"y")), await store(db, X)
    second, third = [await queue_media(db, sha256=X, media_type="image") for _ in range(2)]
    referring = (first, second, third)
    await age(db)
    lost, kept = await stored_file(db, first), await stored_file(db, other)
    before = await figures(db)
    run = await confirmed(db, [kept], gone(lost["storage_path"]))

    assert await fix(db, run, gone(lost["storage_path"])) == {lost["storage_path"]: "queued again"}

    await check(db)
    assert (await status(db, other))["status"] == "stored"
    assert await db.fetch("select * from check_media_exists($1)", X) == []
    assert await db.fetch("select * from media_deletion_queue") == []
    states = [(await status(db, one))["status"] for one in referring]
    assert sorted(states) == ["pending", "waiting", "waiting"]
    for one in referring:
        row = await media_row(db, one)
        assert not row["processed"]
        assert (row["object_id"], row["storage_path"], row["public_url"]) == (None, None, None)
        queued = await queue_row(db, one)
        assert (queued["priority"], queued["attempts"], queued["content_hash"]) == (10, 0, X)
    trail = await db.fetch("select event, detail from get_media_audit_trail($1)", first)
    assert [row["event"] for row in trail if row["event"] != "joined"][-1] == "file missing"
    assert json.loads(trail[3]["detail"])["storage_path"] == lost["storage_path"]
    ((leader, token),) = (await claim(db)).items()
    begun = await begin_upload(db, leader, token, content_hash=X)
    assert begun["verdict"] == "upload"
    assert begun["storage_path"] != lost["storage_path"]
    assert await finish_upload(db, leader, token, begun["object_id"]) == 2
    await check(db)
    after = await figures(db)
    assert {name: after[name] - before[name] for name in after} == {
        "total": 3, "unique": 1, "deduplicated": 2, "failed": 0, "lost": 3, "bytes": 0,
    }  # fmt: skip


async def test_a_late_call_about_the_first_time_is_refused(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    await fix(db, await confirmed(db, [], lost), lost)

    token = (await claim(db))[media]  # by the same poller as then

    assert token == 2
    with refused("MD001"):
        await begin_upload(db, media, 1, content_hash=X)
    assert (await begin_upload(db, media, 2, content_hash=X))["verdict"] == "upload"


async def test_who_waits_for_a_lost_file_makes_it_urgent(db: Any) -> None:
    first = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, first))["storage_path"])
    await fix(db, await confirmed(db, [], lost), lost)

    other = await queue_media(db)
    assert (await queue_row(db, first))["priority"] == 10

    again = await queue_media(db, sha256=X, media_type="image", priority=4)

    assert (await queue_row(db, again))["waiting_for"] == first
    await check(db)
    held = await claim(db)
    assert list(held) == [first, other]
    begun = await begin_upload(db, first, held[first], content_hash=X)
    await finish_upload(db, first, held[first], begun["object_id"])
    assert (await status(db, again))["status"] == "stored"
    await check(db)


async def arrived(db: Any, media: UUID, days: int) -> None:
    """Let an attachment have come this many days ago."""
    await db.execute(
        "update media set created_at = now() - $2 * interval '1 day',"
        " message_sent_at = now() - $2 * interval '1 day' where id = $1",
        media, days,
    )  # fmt: skip


@pytest.mark.parametrize("lost", ["missing", "wrong"])
async def test_whatsapp_is_not_asked_for_what_it_keeps_no_longer(db: Any, lost: str) -> None:
    media = await store(db, X)
    same = await queue_media(db, sha256=X, media_type="image")
    await age(db)
    for one in (media, same):
        await arrived(db, one, 8)
    path = (await stored_file(db, media))["storage_path"]
    asked = gone(path) if lost == "missing" else file(path, file_size=1)
    run = (
        await confirmed(db, [], gone(path))
        if lost == "missing"
        else (await confirmed(db, [asked], asked))
    )

    (fixed,) = await db.fetch(
        "select * from fix_media_differences($1, $2)", run, json.dumps([asked])
    )

    assert (fixed["outcome"], fixed["attachments"], fixed["expired"]) == ("queued again", 2, 2)
    assert await claim(db) == {}
    for one in (media, same):
        end = await status(db, one)
        assert (end["status"], end["error_code"]) == ("failed", "media_expired")
        assert path in end["error_text"]
        assert "WhatsApp keeps media for 7 days only: this came on 20" in end["error_text"]
        words = {"missing": "file missing", "wrong": "file differs"}[lost]
        assert (await events(db, one))[-2:] == [words, "failed"]
    await check(db)
    assert (await figures(db))["failed"] == 2
    await db.execute("select retry_media($1)", media)  # who knows better may still ask
    assert list(await claim(db)) == [media]


async def test_an_old_attachment_gets_the_file_of_a_younger_one(db: Any) -> None:
    """A history is the exception: the message is old, its media id has just come."""
    old = await store(db, X)
    young = await queue_media(db, sha256=X, media_type="image")
    await age(db)
    await arrived(db, old, 8)
    await db.execute(
        "update media set message_sent_at = now() - interval '90 days' where id = $1", young
    )
    lost = gone((await stored_file(db, old))["storage_path"])

    await fix(db, await confirmed(db, [], lost), lost)

    assert (await queue_row(db, old))["waiting_for"] == young
    ((leader, token),) = (await claim(db)).items()
    assert leader == young
    begun = await begin_upload(db, leader, token, content_hash=X)
    assert await finish_upload(db, leader, token, begun["object_id"]) == 1
    assert (await status(db, old))["status"] == "stored"
    await check(db)


async def test_how_long_whatsapp_keeps_media_is_a_setting(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    await arrived(db, media, 8)
    await db.execute("select set_media_setting('whatsapp_keeps', '9 days')")
    lost = gone((await stored_file(db, media))["storage_path"])

    await fix(db, await confirmed(db, [], lost), lost)

    assert (await status(db, media))["status"] == "pending"


async def test_lost_files_are_fetched_after_everything_else(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    await fix(db, await confirmed(db, [], lost), lost)

    live = await queue_media(db, priority=9)

    assert list(await claim(db, 1)) == [live]


async def test_what_whatsapp_no_longer_has_is_a_dead_letter_that_says_so(db: Any) -> None:
    media = await store(db, X, phone_number_id="7")
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    await fix(db, await confirmed(db, [], lost), lost)
    assert (await queue_row(db, media))["source"] == "whatsapp:7"

    await fail(db, media, (await claim(db))[media], code="100", http_status=400)

    end = await status(db, media)
    assert (end["status"], end["error_code"]) == ("failed", "media_expired_or_foreign")
    assert (await events(db, media))[-3:] == ["file missing", "claimed", "failed"]
    await check(db)
    found = await figures(db)
    assert (found["total"], found["lost"], found["failed"], found["bytes"]) == (1, 1, 1, 0)


@pytest.mark.parametrize("change", [{"file_size": 999}, {"mime_type": "image/png"}])
async def test_a_wrong_file_is_kept_for_a_while(db: Any, change: File) -> None:
    media = await store(db, X)
    await age(db)
    wrong = await stored_file(db, media) | change
    run = await confirmed(db, [wrong], wrong)

    assert await fix(db, run, wrong) == {wrong["storage_path"]: "queued again"}

    assert (await events(db, media))[-1] == "file differs"
    assert await db.fetch("select * from claim_media_deletions('one', 9)") == []
    days = "select due_at - now() > interval '29 days' from media_deletion_queue"
    assert await db.fetchval(days) is True
    assert await differences(db, wrong) == {}  # no orphan
    await check(db)
    await db.execute("update media_deletion_queue set due_at = due_at - interval '30 days'")
    (held,) = await db.fetch("select * from claim_media_deletions('one', 9)")
    assert held["storage_path"] == wrong["storage_path"]
