"""claim, finish and fail of deletions, and discard_media_upload: files leave storage in the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    begin_upload,
    claim,
    everything,
    finish_upload,
    make_due,
    queue_media,
    sha256,
    store,
)


@pytest.fixture
async def files(db: Any) -> list[UUID]:
    """Three files to remove: the ids of their rows, in the order in which they are due."""
    for number in range(3):
        await db.execute("select delete_media($1)", await store(db, sha256(bytes([number]))))
    rows = await db.fetch("select id from media_deletion_queue order by due_at, id")
    return [row["id"] for row in rows]


async def claim_deletions(db: Any, limit: int = 100, poller: str = POLLER) -> dict[UUID, int]:
    rows = await db.fetch("select * from claim_media_deletions($1, $2)", poller, limit)
    return {row["id"]: row["fencing_token"] for row in rows}


async def finish(db: Any, held: dict[UUID, int], poller: str = POLLER) -> int:
    return await db.fetchval(
        "select finish_media_deletions($1, $2, $3)", poller, list(held), list(held.values())
    )


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

    assert await finish(db, held) == 2

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert await db.fetchval("select count(*) from media_objects") == 1
    assert await finish(db, held) == 0
    assert len(files) == 3


@pytest.mark.parametrize("call", [finish, fail])
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


async def discard(db: Any, path: str) -> bool:
    return await db.fetchval("select discard_media_upload('images', $1, true)", path)


async def test_an_upload_nobody_recorded_is_removed(db: Any) -> None:
    path = f"2026/01/{uuid4()}.jpg"
    assert await discard(db, path) is True
    assert await discard(db, path) is False

    held = await claim_deletions(db)
    assert len(held) == 1
    assert await finish(db, held) == 1


@pytest.mark.parametrize("path", ["x.jpg", "2026/01/x.jpg", "mine/2026/01/x.jpg", "../x", ""])
async def test_a_path_that_no_upload_has_is_not_removed(db: Any, path: str) -> None:
    assert await discard(db, path) is False

    assert await claim_deletions(db) == {}


async def test_a_path_in_use_is_not_removed(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    path = begun["storage_path"]

    assert await discard(db, path) is False  # another attempt is at it
    await finish_upload(db, media, token, begun["object_id"])
    assert await discard(db, path) is False  # stored
    await db.execute("select delete_media($1)", media)
    assert await discard(db, path) is False  # on its way out

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
