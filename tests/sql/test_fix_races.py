"""fix_media_differences against others who are at the same files: no deadlock, nothing lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    begin_upload,
    blocked,
    claim,
    events,
    finish_upload,
    queue_media,
    status,
    store,
)
from tests.sql.reconcile import (
    ORPHAN,
    X,
    age,
    check,
    confirmed,
    file,
    fix,
    gone,
    stored_file,
)


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


async def test_an_orphan_that_another_run_is_fixing_is_counted_once(
    db: Any, connect: Connect
) -> None:
    orphan = file(ORPHAN)
    one, two = await connect(), await connect()
    runs = [await confirmed(db, [orphan], orphan) for _ in range(2)]

    async with one.transaction():
        assert await fix(one, runs[0], orphan) == {ORPHAN: "removal queued"}
        second = asyncio.create_task(fix(two, runs[1], orphan))
        await blocked(db, two)

    assert await second == {ORPHAN: "changed meanwhile"}
    assert await db.fetchval("select count(*) from media_audit_log where event = 'orphan'") == 1
