"""The database's clock jumps: work may be done again or late, and nothing is lost or doubled.

A jump forward is the same as if all that is written down had happened so much earlier.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    describe,
    events,
    fail,
    finish_upload,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
    store,
)
from tests.sql.queue_invariants import VIOLATIONS

TIMES = """
select table_name, string_agg(format('%1$I = %1$I - $1::interval', column_name), ', ') as changes
from information_schema.columns
join information_schema.tables using (table_schema, table_name)
where table_schema = 'public' and table_type = 'BASE TABLE'
    and data_type = 'timestamp with time zone'
    and table_name like 'media%' and table_name <> 'media_audit_log'
group by table_name
"""
DAY = "24 hours"


async def jump(db: Any, by: str) -> None:
    """Let the clock jump, by an interval; a negative one is a jump back."""
    for table, changes in await db.fetch(TIMES):
        await db.execute(f"update {table} set {changes}".replace("$1", f"'{by}'"))
    await db.execute(
        "update media_sources set refused_at ="
        f" array(select t - '{by}'::interval from unnest(refused_at) t)"
    )


async def violations(db: Any) -> list[Any]:
    return await db.fetch(VIOLATIONS)


async def test_after_a_jump_forward_work_is_done_again_and_recorded_once(db: Any) -> None:
    media = await queue_media(db, sha256=sha256(b"x"))
    waiting = await queue_media(db, sha256=sha256(b"x"))
    old = (await claim(db, poller="one"))[media]
    begun = await begin_upload(db, media, old, poller="one", content_hash=sha256(b"x"))

    await jump(db, DAY)
    token = (await claim(db, poller="two"))[media]

    with refused("MD001"):
        await finish_upload(db, media, old, begun["object_id"], poller="one")
    again = await begin_upload(db, media, token, poller="two", content_hash=sha256(b"x"))
    assert again["storage_path"] == begun["storage_path"]  # over the first, not beside it
    assert await finish_upload(db, media, token, again["object_id"], poller="two") == 1
    assert (await status(db, waiting))["status"] == "stored"
    assert await events(db, media) == ["queued", "claimed", "lease expired", "claimed", "stored"]
    assert await violations(db) == []


async def test_after_a_jump_forward_who_was_quick_enough_keeps_its_work(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]

    await jump(db, DAY)
    held = await db.fetch(
        "select renew_media_leases('poller-1', array[$1::uuid], array[$2::integer])", media, token
    )

    assert [row[0] for row in held] == [media]
    assert await claim(db, poller="two") == {}


async def test_a_jump_forward_ends_pauses_with_one_probe(db: Any) -> None:
    for _ in range(3):
        await queue_media(db, phone_number_id="1")
    media, token = (await claim(db, 1)).popitem()
    await fail(db, media, token, code="190", http_status=401)
    assert await claim(db) == {}

    await jump(db, DAY)

    assert len(await claim(db)) == 1


@pytest.mark.parametrize("state", ["pending", "processing", "retry"])
async def test_a_jump_back_delays_and_loses_nothing(db: Any, state: str) -> None:
    media = await queue_media(db)
    token = 0
    if state != "pending":
        token = (await claim(db, poller="one"))[media]
    if state == "retry":
        await fail(db, media, token, poller="one", http_status=500)

    await jump(db, f"-{DAY}")

    assert await claim(db, poller="two") == {}  # what was under way waits for the clock
    later = await queue_media(db)
    assert list(await claim(db, poller="two")) == [later]  # what comes now does not
    if state == "processing":  # its poller is alive, and renews by the new clock
        await db.fetch(
            "select renew_media_leases('one', array[$1::uuid], array[$2::integer])", media, token
        )
        left = await db.fetchval(
            "select lease_until - now() <= interval '60 seconds' from media_processing_queue"
            " where id = $1",
            media,
        )
        assert left
    await jump(db, "25 hours")
    assert media in await claim(db, poller="two")
    assert await violations(db) == []


async def test_files_are_removed_once_whichever_way_the_clock_jumps(db: Any) -> None:
    await db.execute("select delete_media($1)", await store(db, sha256(b"x")))
    take = "select * from claim_media_deletions($1, 10)"
    (old,) = await db.fetch(take, "one")
    await jump(db, DAY)
    (new,) = await db.fetch(take, "two")
    await jump(db, f"-{DAY}")

    finish = "select finish_media_deletions($1, array[$2::uuid], array[$3::integer])"
    assert await db.fetchval(finish, "one", old["id"], old["fencing_token"]) == 0
    assert await db.fetchval(finish, "two", new["id"], new["fencing_token"]) == 1
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_who_waits_is_freed_when_its_leader_was_lost_in_a_jump(db: Any) -> None:
    leader = await queue_media(db, sha256=sha256(b"x"))
    waiting = await queue_media(db, sha256=sha256(b"x"))
    held = await claim(db)
    await describe(db, leader, held[leader], sha256=sha256(b"x"))
    await db.execute("update media_processing_queue set max_attempts = 1 where id = $1", leader)

    await jump(db, DAY)
    await claim(db)  # the last attempt of the leader is over
    await claim(db)

    assert (await status(db, leader))["error_code"] == "lease_expired"
    assert (await queue_row(db, waiting))["status"] == "processing"
