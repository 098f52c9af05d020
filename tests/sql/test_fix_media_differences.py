"""fix_media_differences: lost files are fetched again, orphans go, what changed is left alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    begin_upload,
    blocked,
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
        assert (queued["priority"], queued["attempts"], queued["content_hash"]) == (5, 0, X)
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


async def test_content_that_comes_in_again_joins(db: Any) -> None:
    first = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, first))["storage_path"])
    await fix(db, await confirmed(db, [], lost), lost)

    again = await queue_media(db, sha256=X, media_type="image")

    assert (await status(db, again))["status"] == "waiting"
    assert (await queue_row(db, again))["waiting_for"] == first
    await check(db)


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


async def test_a_file_that_came_back_before_it_was_fixed(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    there = await stored_file(db, media)
    run = await confirmed(db, [], gone(there["storage_path"]))
    before = await status(db, media)

    assert await fix(db, run, there) == {there["storage_path"]: "changed meanwhile"}

    assert await status(db, media) == before
    assert await fix(db, run, gone(there["storage_path"])) == {}  # not in this run


async def test_a_row_that_was_stored_anew_before_it_was_fixed(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run = await confirmed(db, [], lost)
    await db.execute("update media_objects set stored_at = stored_at - interval '1 s'")

    assert await fix(db, run, lost) == {lost["storage_path"]: "changed meanwhile"}

    assert (await status(db, media))["status"] == "stored"


async def test_a_row_that_was_deleted_before_it_was_fixed(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run = await confirmed(db, [], lost)
    await db.execute("select delete_media($1)", media)

    assert await fix(db, run, lost) == {lost["storage_path"]: "changed meanwhile"}

    await check(db)


@pytest.mark.parametrize("at_it", ["a new reference", "a deletion", "another run"])
async def test_an_object_that_somebody_is_at_is_not_waited_for(
    connect: Connect, db: Any, at_it: str
) -> None:
    other = await connect()
    media = await store(db, X)
    message = await add_message(db)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run, their_run = await confirmed(db, [], lost), await confirmed(db, [], lost)
    transaction = other.transaction()
    await transaction.start()
    if at_it == "a new reference":
        await queue_media(other, sha256=X, media_type="image", message_id=message)
    elif at_it == "a deletion":
        await other.execute("select delete_media($1)", media)
    else:
        assert list((await fix(other, their_run, lost)).values()) == ["queued again"]

    assert await fix(db, run, lost) == {lost["storage_path"]: "in use, try again"}

    await transaction.commit()
    await check(db)
    next_run = await confirmed(db, [], lost)
    left = await fix(db, next_run, lost)
    assert left == ({lost["storage_path"]: "queued again"} if at_it == "a new reference" else {})
    await check(db)
    assert await db.fetchval("select count(*) from media where processed") == 0


async def test_one_of_several_attachments_is_being_deleted(connect: Connect, db: Any) -> None:
    """Its deletion would otherwise wait for the object, and the fix for the attachment."""
    other = await connect()
    first = await store(db, X)
    second = await queue_media(db, sha256=X, media_type="image")
    await age(db)
    lost = gone((await stored_file(db, first))["storage_path"])
    run = await confirmed(db, [], lost)

    async with other.transaction():
        await other.execute("select from media where id = $1 for update", second)
        assert await fix(db, run, lost) == {lost["storage_path"]: "in use, try again"}

    assert (await status(db, first))["status"] == "stored"
    assert await events(db, first) == ["queued", "claimed", "stored"]


async def test_a_fix_under_way_and_the_content_comes_in_again(connect: Connect, db: Any) -> None:
    other = await connect()
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run = await confirmed(db, [], lost)
    transaction = other.transaction()
    await transaction.start()
    await fix(other, run, lost)

    again = await queue_media(db, sha256=X, media_type="image")  # does not wait, nor refer to it

    assert (await status(db, again))["status"] == "pending"
    await transaction.commit()
    held = await claim(db)
    verdicts: list[str] = []
    for one, token in held.items():
        begun = await begin_upload(db, one, token, content_hash=X)
        verdicts.append(begun["verdict"])
        if begun["verdict"] == "upload":
            await finish_upload(db, one, token, begun["object_id"])
    assert sorted(verdicts) == ["deduplicated", "upload"]
    await check(db)


async def test_an_upload_of_the_same_content_waits_for_the_fix(connect: Connect, db: Any) -> None:
    fixing, uploading = await connect(), await connect()
    media = await store(db, X)
    newcomer = await queue_media(db)
    token = (await claim(db))[newcomer]
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run = await confirmed(db, [], lost)
    transaction = fixing.transaction()
    await transaction.start()
    await fix(fixing, run, lost)
    upload = asyncio.create_task(begin_upload(uploading, newcomer, token, content_hash=X))
    await blocked(db, uploading)

    await transaction.commit()

    begun = await upload
    assert begun["verdict"] == "upload"
    assert begun["storage_path"] != lost["storage_path"]
    assert (await finish_upload(db, newcomer, token, begun["object_id"])) == 0
    held = await claim(db)
    assert list(held) == [media]
    again = await begin_upload(db, media, held[media], content_hash=X)
    assert again["verdict"] == "deduplicated"
    await check(db)


async def test_a_deletion_waits_for_the_fix_and_takes_the_job_with_it(
    connect: Connect, db: Any
) -> None:
    fixing, deleting = await connect(), await connect()
    media = await store(db, X)
    await age(db)
    lost = gone((await stored_file(db, media))["storage_path"])
    run = await confirmed(db, [], lost)
    transaction = fixing.transaction()
    await transaction.start()
    await fix(fixing, run, lost)
    deletion = asyncio.create_task(deleting.execute("select delete_media($1)", media))
    await blocked(db, deleting)

    await transaction.commit()
    await deletion

    assert await db.fetch("select * from media_processing_queue") == []
    assert await db.fetch("select * from media_objects") == []
    await check(db)
