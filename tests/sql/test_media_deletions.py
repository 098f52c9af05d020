"""claim, finish and fail of deletions: files leave storage in the end, and the trail says so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    claim,
    events,
    everything,
    make_due,
    media_row,
    queue_media,
    sha256,
    store,
)
from tests.sql.deletions import claim_deletions, finish_deletions


@pytest.fixture
async def files(db: Any) -> list[UUID]:
    """Three files to remove: the ids of their rows, in the order in which they are due."""
    for number in range(3):
        await db.execute("select delete_media($1)", await store(db, sha256(bytes([number]))))
    rows = await db.fetch("select id from media_deletion_queue order by due_at, id")
    return [row["id"] for row in rows]


async def fail(
    db: Any, held: dict[UUID, int], poller: str = POLLER, *, code: str | None = None,
    http_status: int | None = 500, retry_after: float | None = None,
) -> str:  # fmt: skip
    return await db.fetchval(
        "select fail_media_deletions($1, $2, $3, $4, $5, $6, 'no answer')",
        poller, list(held), list(held.values()), code, http_status, retry_after,
    )  # fmt: skip


async def row(db: Any, deletion: UUID) -> Any:
    return await db.fetchrow(
        "select *, due_at - now() as due_in from media_deletion_queue where id = $1", deletion
    )


async def test_a_claim_names_the_file(db: Any, files: list[UUID]) -> None:
    rows = await db.fetch("select * from claim_media_deletions('one', 1)")

    assert [one["id"] for one in rows] == files[:1]
    found = await row(db, files[0])
    assert (rows[0]["bucket_name"], rows[0]["storage_path"]) == ("images", found["storage_path"])
    assert (found["status"], found["claimed_by"], found["attempts"]) == ("processing", "one", 1)


async def test_two_pollers_never_share_a_deletion(
    connect: Connect, db: Any, files: list[UUID]
) -> None:
    del db
    one, two = await connect(), await connect()

    async with one.transaction(), two.transaction():
        first = await claim_deletions(one, 2, "one")
        second = await claim_deletions(two, 9, "two")

    assert len(first) == 2
    assert set(first) | set(second) == set(files)
    assert not set(first) & set(second)


async def test_a_finished_deletion_forgets_the_object(db: Any, files: list[UUID]) -> None:
    held = await claim_deletions(db, 2)

    assert await finish_deletions(db, held) == 2

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert await db.fetchval("select count(*) from media_objects") == 1
    assert await finish_deletions(db, held) == 0
    assert len(files) == 3


@pytest.mark.parametrize("call", [finish_deletions, fail])
async def test_deletions_are_fenced(db: Any, files: list[UUID], call: Any) -> None:
    old = await claim_deletions(db, poller="old")
    await db.execute("update media_deletion_queue set lease_until = now() - interval '1 s'")
    held = await claim_deletions(db)
    assert set(old) == set(held) == set(files)
    before = await everything(db)

    await call(db, old, "old")
    await call(db, old)
    await call(db, held, "old")
    await call(db, {one: token + 1 for one, token in held.items()})

    assert await everything(db) == before


async def test_a_deletion_whose_poller_crashed_is_due_again(db: Any, files: list[UUID]) -> None:
    await claim_deletions(db, poller="crashed")
    assert await claim_deletions(db) == {}

    await db.execute("update media_deletion_queue set lease_until = now() - interval '1 s'")

    assert await claim_deletions(db) == dict.fromkeys(files, 2)


async def test_a_failed_deletion_is_tried_again_with_a_growing_backoff(
    db: Any, files: list[UUID]
) -> None:
    for attempt in range(1, 15):
        held = await claim_deletions(db)
        assert set(held) == set(files)
        assert await fail(db, held) == "storage_failed"
        full = min(timedelta(seconds=5) * 2 ** (attempt - 1), timedelta(hours=1))
        for deletion in files:
            found = await row(db, deletion)
            assert full / 2 - timedelta(seconds=5) < found["due_in"] <= full
            assert (found["status"], found["last_error_text"]) == ("pending", "no answer")
        if attempt > 2:
            assert await claim_deletions(db) == {}
        await make_due(db)


async def test_a_file_is_never_given_up(db: Any, files: list[UUID]) -> None:
    await db.execute("update media_deletion_queue set attempts = 32767")

    held = await claim_deletions(db)
    assert set(held) == set(files)
    await fail(db, held)
    await make_due(db)

    assert set(await claim_deletions(db)) == set(files)


async def test_retry_after_is_honoured(db: Any, files: list[UUID]) -> None:
    await fail(db, await claim_deletions(db), retry_after=600)

    assert (await row(db, files[0]))["due_in"] > timedelta(seconds=590)


async def test_an_absurd_retry_after_is_at_most_a_day(db: Any, files: list[UUID]) -> None:
    await fail(db, await claim_deletions(db), retry_after=float("inf"))

    assert (await row(db, files[0]))["due_in"] <= timedelta(days=1)


@pytest.mark.parametrize(
    ("arguments", "code", "seconds"),
    [
        ({"http_status": 503}, "storage_unavailable", 30),
        ({"http_status": 429, "retry_after": 90.0}, "storage_rate_limited", 90),
        ({"http_status": 401}, "storage_key_refused", 300),
    ],
)
async def test_a_storage_in_trouble_is_paused(
    db: Any, files: list[UUID], arguments: dict[str, Any], code: str, seconds: int
) -> None:
    await queue_media(db)
    held = await claim_deletions(db, 1)

    assert await fail(db, held, **arguments) == code

    pause = await db.fetchrow("select *, until - now() as left from media_pauses")
    assert (pause["scope"], pause["reason"]) == ("storage", code)
    assert timedelta(seconds=seconds - 5) < pause["left"] <= timedelta(seconds=seconds)
    await make_due(db)
    assert await claim_deletions(db) == {}
    assert await claim(db) == {}
    await db.execute("select resume_media_source('storage')")
    assert set(await claim_deletions(db)) == set(files)


@pytest.mark.parametrize("http_status", [502, 504, 520, 530])
async def test_a_gateway_without_a_storage_costs_no_backoff(
    db: Any, files: list[UUID], http_status: int
) -> None:
    """All is due when the pause is over, however many attempts it has cost."""
    await db.execute("update media_deletion_queue set attempts = 15")
    held = await claim_deletions(db)

    assert await fail(db, held, http_status=http_status) == "storage_unavailable"

    until = await db.fetchval("select until from media_pauses")
    assert {(await row(db, one))["due_at"] for one in files} == {until}


async def test_each_removed_file_is_in_the_trail_of_all_that_referred_to_it(db: Any) -> None:
    first = await store(db, sha256(b"x"))
    second = await queue_media(db, sha256=sha256(b"x"), media_type="image")
    place = await media_row(db, first)
    for one in (first, second):
        await db.execute("select delete_media($1)", one)
    await fail(db, await claim_deletions(db))
    await make_due(db)

    await finish_deletions(db, await claim_deletions(db))

    for one in (first, second):
        (*_, before, last) = await db.fetch("select * from get_media_audit_trail($1)", one)
        assert (before["event"], last["event"]) == ("deleted", "file removed")
        assert (last["poller"], last["attempt"]) == (POLLER, 2)
        assert json.loads(last["detail"]) == {
            "bucket_name": "images", "storage_path": place["storage_path"], "reason": "unused",
        }  # fmt: skip
    assert await events(db, place["object_id"]) == ["file removed"]


async def test_a_removal_that_storage_refuses_for_good_is_told_once(
    db: Any, files: list[UUID]
) -> None:
    for _ in range(3):
        assert await fail(db, await claim_deletions(db, 1), code="InvalidKey") == (
            "storage_path_refused"
        )
        await db.execute(
            "update media_deletion_queue set due_at = '2026-01-01' where id = $1", files[0]
        )

    told = await db.fetch("select * from media_audit_log where event = 'removal refused'")
    (one,) = told
    detail = json.loads(one["detail"])
    assert one["media_id"] == (await row(db, files[0]))["object_id"]
    assert (detail["code"], detail["text"]) == ("storage_path_refused", "no answer")
    assert (await row(db, files[0]))["status"] == "pending"  # a file is never given up


async def test_a_file_that_something_refers_to_again_is_kept(db: Any) -> None:
    """As after plain SQL or a restored backup: the file is left alone, and its row is back."""
    media = await store(db, sha256(b"x"))
    await db.execute(
        "with o as (update media_objects set state = 'deleting' returning *)"
        " insert into media_deletion_queue (object_id, bucket_name, storage_path, reason)"
        " select id, bucket_name, storage_path, 'unused' from o"
    )

    assert await claim_deletions(db) == {}

    assert await db.fetchval("select state from media_objects") == "stored"
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert (await media_row(db, media))["processed"]


async def test_an_object_that_is_not_being_deleted_outlives_the_removal_of_a_file(
    db: Any, files: list[UUID]
) -> None:
    held = await claim_deletions(db, 1)
    kept = (await row(db, files[0]))["object_id"]
    await db.execute("update media_objects set state = 'stored' where id = $1", kept)

    assert await finish_deletions(db, held) == 1

    assert await db.fetchval("select state from media_objects where id = $1", kept) == "stored"
