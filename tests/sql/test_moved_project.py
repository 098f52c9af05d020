"""The files are in another project than a poller's: it claims nothing and records nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import (
    POLLER,
    begin_upload,
    claim,
    everything,
    finish_upload,
    queue_media,
    refused,
    sha256,
    store,
)
from tests.sql.deletions import claim_deletions, finish_deletions

HERE, THERE = "https://one.supabase.co", "https://two.supabase.co"
WORDS = f"the files are in the storage of {THERE}, not of '{HERE}'"


async def heartbeat(db: Any, url: str | None = HERE) -> float:
    call = "select heartbeat_media_poller($1, '1', 'poll', 0, p_project_url => $2)"
    return await db.fetchval(call, POLLER, url)


async def move(db: Any) -> None:
    await db.execute("select set_media_project_url($1)", THERE)


@pytest.mark.parametrize("url", [THERE, f"{THERE}/", None])
async def test_a_heartbeat_from_where_the_files_are(db: Any, url: str | None) -> None:
    assert await heartbeat(db) > 0  # the database does not know yet
    await move(db)

    assert await heartbeat(db, url) > 0

    assert await claim(db) == {}
    assert await claim_deletions(db) == {}


async def test_a_heartbeat_from_elsewhere_is_refused(db: Any) -> None:
    await move(db)

    with refused("MD061", WORDS):
        await heartbeat(db)

    assert await db.fetchval("select count(*) from media_pollers") == 0


async def test_nothing_is_claimed_and_nothing_recorded(db: Any) -> None:
    await db.execute("select delete_media($1)", await store(db, sha256(b"y")))
    media = await queue_media(db)
    await heartbeat(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    held = await claim_deletions(db)
    await move(db)
    before = await everything(db)

    for call in (
        claim(db),
        claim_deletions(db),
        finish_upload(db, media, token, begun["object_id"]),
        finish_deletions(db, held),
    ):
        with refused("MD061", WORDS):
            await call

    assert await everything(db) == before
    await heartbeat(db, THERE)
    assert await finish_upload(db, media, token, begun["object_id"]) == 0
    assert await finish_deletions(db, held) == 1


async def test_a_poller_says_nothing_about_another_one(db: Any) -> None:
    media = await queue_media(db)
    await heartbeat(db)
    await move(db)

    assert list(await claim(db, poller="of an older version")) == [media]
