"""Media that somebody deleted stay deleted, whoever sends or replays their call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import blocked, queue_media
from tests.webhook.calls import media_of, receive, replay
from tests.webhook.payloads import (
    lost,
    media,
    message,
    received,
)


async def tombstones(db: Any) -> list[str]:
    rows = await db.fetch("select whatsapp_media_id from media_tombstones order by 1")
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    "deletion",
    [
        "select delete_media(id) from media",
        "select cleanup_old_media(1)",
        "delete from media",
    ],
)
async def test_no_repeat_and_no_replay_brings_them_back(db: Any, deletion: str) -> None:
    one, gone = message("video"), lost()
    payload = received(one, gone, message("text"))
    summary = await receive(db, payload)
    await db.execute(deletion)
    assert await tombstones(db) == [one["video"]["id"], "error:131052"]

    for again in (
        await receive(db, payload),
        await receive(db, json.dumps(payload) + " "),
        await replay(db, summary["event_id"]),
    ):
        assert (again["media_queued"], again["media_failed"], again["media_deleted"]) == (0, 0, 2)
        assert (again["duplicates"], again["errors"]) == (3, {})
    assert await db.fetchval("select count(*) from media") == 0
    assert await db.fetchval("select count(*) from media_processing_queue") == 0


async def test_only_what_was_deleted_stays_away(db: Any) -> None:
    one = message(image=[media(), media()])
    await receive(db, received(one))
    first, second = await media_of(db, one)
    await db.execute("select delete_media($1)", first["id"])
    one["image"].append(media())

    summary = await receive(db, received(one, message(image=media(id=one["image"][0]["id"]))))

    assert (summary["media_queued"], summary["media_deleted"]) == (2, 1)
    kept = {row["whatsapp_media_id"] for row in await media_of(db, one)}
    assert kept == {second["whatsapp_media_id"], one["image"][2]["id"]}


async def test_who_asks_for_it_by_name_has_it_again(db: Any) -> None:
    one = message()
    await receive(db, received(one))
    (row,) = await media_of(db, one)
    await db.execute("select delete_media($1)", row["id"])

    again = await queue_media(db, row["whatsapp_media_id"], message_id=row["message_id"])

    assert again != row["id"]
    assert await tombstones(db) == []
    assert (await receive(db, received(one)))["media_deleted"] == 0
    assert [row["status"] for row in await media_of(db, one)] == ["pending"]
    await db.execute("select delete_media($1)", again)
    assert (await receive(db, received(one)))["media_deleted"] == 1


async def test_a_row_that_the_bot_has_added_again_is_queued(db: Any) -> None:
    one = message()
    await receive(db, received(one))
    await db.execute("create temporary table copy as select * from media")
    await db.execute("delete from media")
    await db.execute("insert into media select * from copy")

    summary = await receive(db, received(one))

    assert (summary["media_queued"], summary["media_deleted"]) == (1, 0)
    await db.execute("delete from media")
    assert (await receive(db, received(one)))["media_deleted"] == 1


async def test_a_message_deleted_whole_comes_back_whole(db: Any) -> None:
    payload = received(message(), lost())
    await receive(db, payload)
    await db.execute("delete from messages")
    assert await tombstones(db) == []

    summary = await receive(db, payload)

    assert (summary["new"], summary["media_queued"], summary["media_failed"]) == (2, 1, 1)


async def test_media_of_no_message_or_no_id_leave_no_trace(db: Any) -> None:
    await receive(db, received(message(), message()))
    await db.execute("alter table media alter message_id drop not null")
    await db.execute("alter table media alter whatsapp_media_id drop not null")
    first, second = await db.fetch("select id from media")
    await db.execute("update media set message_id = null where id = $1", first["id"])
    await db.execute("update media set whatsapp_media_id = null where id = $1", second["id"])

    await db.execute("delete from media")

    assert await tombstones(db) == []


async def test_a_repeat_waits_for_a_deletion_under_way(db: Any, connect: Connect) -> None:
    payload, other = received(message(), message()), await connect()
    await receive(db, payload)
    async with db.transaction():
        await db.execute("select delete_media(id) from media")
        repeat = asyncio.create_task(receive(other, payload))
        await blocked(await connect(), other)

    assert (await repeat)["media_deleted"] == 2
    assert await db.fetchval("select count(*) from media") == 0


async def test_they_are_remembered_as_long_as_a_repeat_may_come(db: Any) -> None:
    await receive(db, received(message(), message()))
    await db.execute("delete from media")
    young, old = await tombstones(db)
    for media_id, age in ((young, "36 days"), (old, "38 days")):
        await db.execute(
            "update media_tombstones set deleted_at = now() - $2::text::interval"
            " where whatsapp_media_id = $1",
            media_id, age,
        )  # fmt: skip

    ran = json.loads(await db.fetchval("select run_media_maintenance()"))

    assert ran["pruned_tombstones"] == 1
    assert await tombstones(db) == [young]
    await db.execute("select set_media_setting('webhook_events_kept', '28 days')")
    assert await db.fetchval("select prune_media_tombstones('28 days', 0)") == 0
    assert json.loads(await db.fetchval("select run_media_maintenance()"))["pruned_tombstones"] == 1


async def test_a_file_asked_for_by_name_brings_back_no_other(db: Any) -> None:
    one = message(image=[media(), media()])
    await receive(db, received(one))
    await db.execute("select delete_media(id) from media")
    message_id = await db.fetchval("select id from messages")

    await queue_media(db, one["image"][0]["id"], message_id=message_id)

    assert await tombstones(db) == [one["image"][1]["id"]]


async def test_the_last_deletion_is_the_one_that_counts(db: Any) -> None:
    await receive(db, received(message()))
    await db.execute("select delete_media(id) from media")
    await db.execute("update media_tombstones set deleted_at = '2026-01-01'")
    (row,) = await db.fetch("select * from media_tombstones")
    await db.execute(
        "insert into media (message_id, whatsapp_media_id) values ($1, $2)",
        row["message_id"], row["whatsapp_media_id"],
    )  # fmt: skip

    await db.execute("delete from media")

    assert await db.fetchval(
        "select deleted_at > now() - interval '1 minute' from media_tombstones"
    )


async def test_the_same_file_twice_in_a_call_is_deleted_once(db: Any) -> None:
    one = message()
    await receive(db, received(one))
    await db.execute("select delete_media(id) from media")

    assert (await receive(db, received(one, one, one)))["media_deleted"] == 1
