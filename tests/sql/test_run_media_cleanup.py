"""run_media_cleanup: bounded calls that go on where the last one stopped, and wait for nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    media_row,
    queue_media,
    sha256,
    store,
)
from tests.sql.lifecycle import age, all_media, clean_up


async def test_a_call_is_bounded_and_the_oldest_go_first(db: Any) -> None:
    oldest, older, old = [await age(db, await queue_media(db), days) for days in (60, 50, 40)]

    assert await clean_up(db, at_most=1) == 1
    assert await all_media(db) == {older, old}
    assert await clean_up(db, at_most=2) == 2

    assert oldest not in await all_media(db)


async def test_a_locked_row_is_left_for_a_later_call(db: Any, connect: Connect) -> None:
    locked = await age(db, await queue_media(db), 40)
    free = await age(db, await queue_media(db), 35)
    other = await connect()
    async with other.transaction():
        await other.execute("select from media where id = $1 for share", locked)

        assert await clean_up(db) == 1

    assert await media_row(db, free) is None
    assert await clean_up(db) == 1


async def test_a_cleanup_finds_its_rows_by_an_index(db: Any) -> None:
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, i::text, (array['image', 'video', null])[1 + i % 3],"
        " now() - i * interval '1 hour'"
        " from generate_series(1, 5000) i",
        await add_message(db),
    )
    await db.execute("analyze media")
    await db.execute("load 'auto_explain'")
    plans: list[str] = []

    def noted(_: Any, message: Any) -> None:
        plans.append(str(message.message))

    db.add_log_listener(noted)
    await db.execute(
        "set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;"
        " set client_min_messages = log"
    )

    assert await clean_up(db, 100, media_types=["video"], at_most=10) == 10
    assert await clean_up(db, 100, at_most=10) == 10

    scans = [plan for plan in plans if "order by m.message_sent_at, m.id" in plan]
    assert scans
    for plan in scans:
        assert "pgmedia_media_age_idx" in plan
        assert "Seq Scan" not in plan


async def test_what_is_kept_hides_nothing_behind_it(db: Any) -> None:
    """Thousands of kept rows are older than what can go, of each type."""
    message = await add_message(db)
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, i::text, (array['image', 'video'])[1 + i % 2],"
        " now() - i * interval '1 hour' - interval '30 days'"
        " from generate_series(1, 6000) i",
        message,
    )
    await db.execute(
        "insert into media_accesses (media_id, accessed_at)"
        " select id, now() from media where whatsapp_media_id::integer > 100"
    )

    assert await clean_up(db, keep_accessed_days=7, dry_run=True) == 100
    assert await clean_up(db, keep_accessed_days=7) == 100
    assert await clean_up(db, keep_accessed_days=7) == 0


async def test_rows_of_the_same_time_are_all_seen(db: Any) -> None:
    message = await add_message(db)
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, i::text, 'image', '2020-01-01' from generate_series(1, 2500) i",
        message,
    )

    assert await clean_up(db) == 2500


async def test_what_a_foreign_key_of_the_bot_keeps_is_passed_over(db: Any) -> None:
    rows = [await age(db, await queue_media(db), days) for days in (60, 50, 40)]
    await db.execute("create table tickets (media_id uuid references media)")
    await db.execute("insert into tickets values ($1)", rows[0])

    assert await clean_up(db) == 2

    assert await all_media(db) == {rows[0]}


async def test_nobody_is_waited_for(db: Any, connect: Connect) -> None:
    """A bot's open transaction shares the lock of an object, another one is at a queue row."""
    shared = await age(db, await store(db, sha256(b"x")), 40)
    claimed, free = [await age(db, await queue_media(db), 40) for _ in range(2)]
    bot, poller = await connect(), await connect()
    one, two = bot.transaction(), poller.transaction()
    await one.start()
    await two.start()
    await bot.execute("select from media_objects for key share")
    await bot.execute("select from media_objects for update")
    await poller.execute("select from media_processing_queue where id = $1 for update", claimed)

    assert await clean_up(db) == 1

    assert await media_row(db, free) is None
    await one.rollback()
    await two.rollback()
    assert await clean_up(db) == 2
    assert await media_row(db, shared) is None


async def run(db: Any, **arguments: Any) -> tuple[int, bool]:
    named = {"days_old": 30, **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))
    row = await db.fetchrow(f"select * from run_media_cleanup({call})", *named.values())
    return row["attachments"], row["is_finished"]


async def many(db: Any, count: int, media_type: str | None = "image") -> None:
    """Old media, the first the oldest."""
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, media_type, message_sent_at)"
        " select $1, coalesce($3, '') || i, $3, now() - interval '40 days' + i * interval '1 s'"
        " from generate_series(1, $2::integer) i",
        await add_message(db), count, media_type,
    )  # fmt: skip


async def reached(db: Any) -> list[tuple[str, bool]]:
    rows = await db.fetch(
        "select btrim(c.media_type, chr(39)), (select count(*) from media m"
        " where quote_literal(m.media_type) = c.media_type"
        " and (m.message_sent_at, m.id) <= (c.reached_at, c.reached_id)) as before"
        " from media_cleanups c"
    )
    return [(row[0], row["before"]) for row in rows]


async def test_a_call_goes_on_where_the_last_one_stopped(db: Any) -> None:
    """Kept rows are looked at once: what is released behind the place waits for the next pass."""
    await many(db, 6, "audio")
    await many(db, 6, "image")
    await db.execute(
        "insert into media_holds (media_id, reason) select id, 'case' from media"
        " where whatsapp_media_id in ('audio1', 'audio2', 'image1')"
    )

    assert await run(db, at_most=2) == (2, False)
    assert await reached(db) == [("audio", 2)]  # the held ones; the deleted are gone
    await db.execute("delete from media_holds where media_id in"
                     " (select id from media where whatsapp_media_id = 'audio1')")  # fmt: skip
    assert await run(db, at_most=4) == (4, False)
    assert await reached(db) == [("image", 1)]
    assert await run(db, at_most=3) == (3, False)
    assert await run(db, at_most=3) == (1, True)  # nothing on from there: once more from the front
    assert await reached(db) == []


async def test_each_set_of_arguments_has_its_place(db: Any) -> None:
    await many(db, 4)
    assert await run(db, media_types=[]) == (0, True)
    assert await run(db, at_most=1) == (1, False)
    await db.execute("insert into media_holds (media_id, reason) select id, 'case' from media")
    await db.execute("delete from media_holds where media_id = ("
                     " select id from media order by message_sent_at limit 1)")  # fmt: skip
    await db.execute("update media_cleanups set reached_at = now()")

    assert await run(db, dry_run=True) == (1, True)  # looks at everything
    assert await run(db, media_types=["image"], dry_run=True) == (1, True)
    assert await run(db, media_types=["image"], at_most=9) == (1, True)
    assert len(await reached(db)) == 1


async def test_a_place_is_good_for_ten_minutes(db: Any) -> None:
    await many(db, 3)
    assert await run(db, at_most=1) == (1, False)
    passed = "update media_cleanups set reached_at = now(), deleted = 0"
    await db.execute(passed)
    assert await run(db, at_most=1) == (0, True)
    assert await run(db, at_most=1) == (1, False)
    await db.execute(f"{passed}, saved_at = now() - interval '11 minutes'")

    assert await run(db) == (1, True)


async def test_two_at_once_do_not_wait_for_each_other(db: Any, connect: Connect) -> None:
    await many(db, 6)
    other = await connect()
    async with other.transaction():
        assert await run(other, at_most=2) == (2, False)

        assert await run(db, at_most=2) == (2, False)
        assert await run(db) == (2, True)

    assert await run(db) == (0, True)


async def test_an_answer_comes_in_time_whatever_is_locked(db: Any, connect: Connect) -> None:
    """A lock that all rows would wait for is waited for no longer than the call may take."""
    await many(db, 2000)
    await db.execute(
        "insert into media_objects (content_hash, is_public, state, file_size, stored_hash,"
        " stored_size, mime_type, bucket_name, storage_path, stored_at)"
        " values ($1, true, 'stored', 1, $1, 1, 'image/jpeg', 'images', 'x', now())",
        sha256(b"x"),
    )
    await db.execute("update media set object_id = (select id from media_objects)")
    other = await connect()
    async with other.transaction():
        await other.execute("select from media_objects for update")
        await db.execute("set statement_timeout = '5s'")  # one by one it would be minutes

        assert await run(db) == (0, False)


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
async def test_media_without_a_time_go_by_that_of_their_row(db: Any, kind: str) -> None:
    """As in a table that a bot had before, with its own column message_sent_at or created_at."""
    await db.execute(f"alter table media alter column created_at type {kind},"
                     " alter column created_at drop not null")  # fmt: skip
    old, young, dated, ageless = [await queue_media(db, media_type=None) for _ in range(4)]
    await db.execute("update media set message_sent_at = null where id <> $1", dated)
    await db.execute("update media set created_at = now() - interval '31 days' where id = any($1)",
                     [old, dated])  # fmt: skip
    await db.execute("update media set created_at = null where id = $1", ageless)

    assert await run(db) == (1, True)

    assert await all_media(db) == {young, dated, ageless}
    await db.execute("set enable_seqscan = off")
    plan = await db.fetch(
        "explain select from media where media_type = 'image' and message_sent_at is null"
        " and created_at < now() and (created_at, id) > ('-infinity'::timestamptz, $1)"
        " order by created_at, id limit 10",
        old,
    )
    text = "\n".join(row[0] for row in plan)
    assert "pgmedia_media_undated_idx" in text
    assert "Sort" not in text


async def test_no_type_and_an_empty_one_are_two(db: Any) -> None:
    """As a bot's own media may have: neither is taken for the other one."""
    await many(db, 3, None)
    await many(db, 3, "")
    await db.execute("update media set message_sent_at = message_sent_at"
                     " - interval '9 days' where media_type is null")  # fmt: skip

    assert await run(db, at_most=2) == (2, False)
    assert await run(db) == (4, True)
