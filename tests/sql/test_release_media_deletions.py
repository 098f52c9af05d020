"""release_media_deletions: files given back are due at once, and rescued only if nobody began."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.helpers import POLLER, begin_upload, claim, media_row, queue_media, sha256, store
from tests.sql.deletions import HASH, claim_deletions, finish_deletions


async def release(db: Any, held: dict[UUID, int], begun: bool, poller: str = POLLER) -> int:
    return await db.fetchval(
        "select release_media_deletions($1, $2, $3, $4)",
        poller, list(held), list(held.values()), [begun] * len(held),
    )  # fmt: skip


async def removed(db: Any) -> UUID:
    """A stored file that nothing refers to any more: the id of its object."""
    media = await store(db, HASH)
    await db.execute("select delete_media($1)", media)
    return await db.fetchval("select object_id from media_deletion_queue")


@pytest.mark.parametrize("begun", [False, True])
async def test_others_may_remove_it_at_once(db: Any, begun: bool) -> None:
    await removed(db)
    held = await claim_deletions(db)

    assert await release(db, held, begun) == 1

    row = await db.fetchrow("select *, due_at <= now() as is_due from media_deletion_queue")
    assert (row["status"], row["claimed_by"], row["lease_until"]) == ("pending", None, None)
    assert (row["is_due"], row["attempts"]) == (True, int(begun))
    again = await claim_deletions(db, poller="another")
    assert again.keys() == held.keys()
    assert await finish_deletions(db, held) == 0
    assert await finish_deletions(db, again, "another") == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_only_what_storage_was_never_asked_to_remove_is_rescued(db: Any, begun: bool) -> None:
    """A request under way may still remove the file, long after it was given back."""
    gone = await removed(db)
    await release(db, await claim_deletions(db), begun)

    media = await queue_media(db)
    begin = await begin_upload(db, media, (await claim(db))[media], content_hash=HASH)

    if begun:
        assert (begin["verdict"], begin["object_id"] == gone) == ("upload", False)
    else:
        assert (await media_row(db, media))["object_id"] == gone
    assert await db.fetchval("select count(*) from media_deletion_queue") == begun


async def test_only_what_is_still_held_is_given_back(db: Any) -> None:
    await removed(db)
    held = await claim_deletions(db)

    assert await release(db, held, begun=False, poller="another") == 0
    assert await release(db, {one: token - 1 for one, token in held.items()}, begun=False) == 0
    assert await db.fetchval("select status from media_deletion_queue") == "processing"
    assert await finish_deletions(db, held) == 1
    assert await release(db, held, begun=False) == 0


async def test_some_of_them(db: Any) -> None:
    for number in range(2):
        await db.execute("select delete_media($1)", await store(db, sha256(bytes([number]))))
    held = await claim_deletions(db)
    ids, tokens = list(held), list(held.values())

    await db.execute(
        "select release_media_deletions($1, $2, $3, $4)", POLLER, ids, tokens, [True, False]
    )

    attempts = dict(await db.fetch("select id, attempts from media_deletion_queue"))
    assert attempts == {ids[0]: 1, ids[1]: 0}
