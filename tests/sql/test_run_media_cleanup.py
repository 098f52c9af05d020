"""run_media_cleanup: bounded calls that go on where the last one stopped, and wait for nobody."""

from __future__ import annotations

from typing import Any

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
