"""cleanup_old_media, hold_media, touch_media: what goes by age, and what stays all the same."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    add_message,
    blocked,
    claim,
    events,
    everything,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    store,
)


async def clean_up(db: Any, days_old: int | None = 30, **arguments: Any) -> int:
    named = {"days_old": days_old, **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))
    return await db.fetchval(f"select cleanup_old_media({call})", *named.values())


async def age(db: Any, media: UUID, days: float) -> UUID:
    """As if its message had been sent so many days ago."""
    await db.execute(
        "update media set message_sent_at = now() - make_interval(secs => $2 * 86400.0)"
        " where id = $1",
        media, days,
    )  # fmt: skip
    return media


async def all_media(db: Any) -> set[UUID]:
    return {row["id"] for row in await db.fetch("select id from media")}


async def test_the_age_is_that_of_the_message(db: Any) -> None:
    old, young = [await add_message(db) for _ in range(2)]
    await db.execute("update messages set sent_at = now() - interval '31 days' where id = $1", old)
    unknown = await add_message(db)
    await db.execute("update messages set sent_at = null where id = $1", unknown)
    kept = [await queue_media(db, message_id=one) for one in (old, young, unknown)][1:]

    assert await clean_up(db) == 1

    assert await all_media(db) == set(kept)


async def test_what_is_just_too_young_stays(db: Any) -> None:
    await age(db, await queue_media(db), 30.001)
    kept = await age(db, await queue_media(db), 29.999)

    assert await clean_up(db) == 1
    assert await clean_up(db) == 0

    assert await all_media(db) == {kept}


async def test_a_bots_own_rows_have_the_age_of_their_insert(db: Any) -> None:
    await db.execute(
        "insert into media (message_id, whatsapp_media_id) values ($1, 'a')", await add_message(db)
    )

    assert await clean_up(db, 1) == 0
    await db.execute("update media set message_sent_at = now() - interval '2 days'")
    assert await clean_up(db, 1) == 1


async def test_a_shared_file_goes_with_its_last_reference(db: Any) -> None:
    first = await age(db, await store(db, sha256(b"x")), 40)
    second = await queue_media(db, sha256=sha256(b"x"), media_type="image")

    assert await clean_up(db) == 1
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    await age(db, second, 40)
    assert await clean_up(db) == 1

    assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    assert await events(db, first) == ["queued", "claimed", "stored", "deleted"]
    detail = "select detail ->> 'by' from media_audit_log where media_id = $1 and event = 'deleted'"
    assert await db.fetchval(detail, first) == "cleanup"
    third = await store(db, sha256(b"z"))
    await db.execute("select delete_media($1)", third)
    assert await db.fetchval(detail, third) is None


async def test_only_some_types(db: Any) -> None:
    kept = await age(db, await queue_media(db, message_type="video", media_type="video"), 40)
    for media_type in ("image", "audio"):
        await age(db, await queue_media(db, media_type=media_type), 40)

    assert await clean_up(db, media_types=["image", "audio", "image"]) == 2

    assert await all_media(db) == {kept}
    await age(db, await queue_media(db, message_type="unknown"), 40)
    assert await db.fetchval("select count(*) from media where media_type is null") == 1
    assert await clean_up(db) == 2  # media of no type, too


async def test_recent_access_keeps_where_asked(db: Any, connect: Connect) -> None:
    touched, forgotten = [await age(db, await queue_media(db), 40) for _ in range(2)]
    client = await connect("media_client")
    for media in (touched, forgotten):
        assert await client.fetchval("select touch_media($1)", media) is True
    await db.execute(
        "update media_accesses set accessed_at = now() - interval '8 days' where media_id = $1",
        forgotten,
    )

    assert await clean_up(db, keep_accessed_days=7) == 1
    assert await all_media(db) == {touched}
    assert await clean_up(db) == 1
    assert await db.fetchval("select count(*) from media_accesses") == 0


async def test_an_access_is_written_once_an_hour(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("select touch_media($1)", media)
    first = await db.fetchval("select accessed_at from media_accesses")

    await db.execute("select touch_media($1)", media)
    assert await db.fetchval("select accessed_at from media_accesses") == first
    await db.execute("update media_accesses set accessed_at = now() - interval '61 minutes'")
    await db.execute("select touch_media($1)", media)

    assert await db.fetchval("select accessed_at >= $1 from media_accesses", first)
    assert await db.fetchval("select touch_media($1)", UUID(int=3)) is False


async def test_a_dry_run_changes_nothing(db: Any) -> None:
    for _ in range(3):
        await age(db, await queue_media(db), 40)
    before = await everything(db)

    assert await clean_up(db, dry_run=True) == 3
    assert await clean_up(db, dry_run=True, media_types=["video"]) == 0

    assert await everything(db) == before


async def test_a_call_is_bounded_and_the_oldest_go_first(db: Any) -> None:
    oldest, older, old = [await age(db, await queue_media(db), days) for days in (60, 50, 40)]

    assert await clean_up(db, at_most=1) == 1
    assert await all_media(db) == {older, old}
    assert await clean_up(db, at_most=2) == 2

    assert oldest not in await all_media(db)


async def test_work_in_hand_is_left_and_waiting_work_is_not(db: Any) -> None:
    media = await age(db, await queue_media(db), 40)
    assert await claim(db) == {media: 1}
    waiting = await age(db, await queue_media(db), 40)

    assert await clean_up(db) == 1

    assert await media_row(db, media) is not None
    assert await queue_row(db, waiting) is None


async def test_a_locked_row_is_left_for_a_later_call(db: Any, connect: Connect) -> None:
    locked = await age(db, await queue_media(db), 40)
    free = await age(db, await queue_media(db), 35)
    other = await connect()
    async with other.transaction():
        await other.execute("select from media where id = $1 for share", locked)

        assert await clean_up(db) == 1

    assert await media_row(db, free) is None
    assert await clean_up(db) == 1


@pytest.mark.parametrize("days_old", [0, -1, None, 2_000_000])
async def test_no_age_is_refused(db: Any, days_old: int | None) -> None:
    await age(db, await queue_media(db), 4000)

    with refused("MD022", "null" if days_old is None else str(days_old)):
        await clean_up(db, days_old)

    assert len(await all_media(db)) == 1


async def test_other_bad_arguments_are_refused(db: Any) -> None:
    with refused("MD011", "'gif'"):
        await clean_up(db, media_types=["image", "gif"])
    with refused("MD022", "keep_accessed_days is 0"):
        await clean_up(db, keep_accessed_days=0)
    for at_most in (0, None):
        with refused("MD022", "at_most"):
            await clean_up(db, at_most=at_most)


async def test_a_held_attachment_stays_whoever_deletes(db: Any) -> None:
    media = await age(db, await store(db, sha256(b"x")), 40)
    await db.execute("select hold_media($1, 'case 12')", media)

    assert await clean_up(db) == 0
    with refused("MD021", "case 12"):
        await db.execute("select delete_media($1)", media)
    for statement in ("delete from media", "delete from messages"):
        with refused("23503", "media_is_held"):
            await db.execute(statement)
    assert (await media_row(db, media))["processed"]

    assert await db.fetchval("select release_media_hold($1)", media) is True
    assert await db.fetchval("select release_media_hold($1)", media) is False
    assert await clean_up(db) == 1
    assert await events(db, media) == [
        "queued", "claimed", "stored", "held", "hold released", "deleted",
    ]  # fmt: skip


async def test_a_hold_needs_a_reason_and_an_attachment(db: Any) -> None:
    media = await queue_media(db)
    for reason in ("", " ", None):
        with refused("MD024", "reason"):
            await db.execute("select hold_media($1, $2)", media, reason)
    with refused("MD016", str(UUID(int=3))):
        await db.execute("select hold_media($1, 'case')", UUID(int=3))
    await db.execute("select hold_media($1, 'case 1')", media)
    await db.execute("select hold_media($1, 'case 2')", media)
    assert await db.fetchval("select reason from media_holds") == "case 2"


async def test_a_hold_waits_for_a_deletion_and_is_refused(db: Any, connect: Connect) -> None:
    media = await queue_media(db)
    deleting, holding = await connect(), await connect()
    transaction = deleting.transaction()
    await transaction.start()
    await deleting.execute("select delete_media($1)", media)

    held = asyncio.create_task(holding.execute("select hold_media($1, 'case')", media))
    await blocked(db, holding)
    await transaction.commit()

    with refused("MD016", str(media)):
        await held


async def test_a_deletion_waits_for_a_hold_and_is_refused(db: Any, connect: Connect) -> None:
    media = await age(db, await queue_media(db), 40)
    deleting, holding = await connect(), await connect()
    transaction = holding.transaction()
    await transaction.start()
    await holding.execute("select hold_media($1, 'case')", media)

    assert await clean_up(db) == 0  # passes by
    deleted = asyncio.create_task(deleting.execute("select delete_media($1)", media))
    await blocked(db, deleting)
    await transaction.commit()

    with refused("MD021", "case"):
        await deleted
    assert await media_row(db, media) is not None


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


async def test_what_is_touched_meanwhile_stays(db: Any, connect: Connect) -> None:
    media = await age(db, await queue_media(db), 40)
    cleaning, touching = await connect(), await connect()
    transaction = touching.transaction()
    await transaction.start()
    await touching.execute("select from media where id = $1 for share", media)
    await touching.execute("select touch_media($1)", media)

    assert await clean_up(cleaning, keep_accessed_days=7) == 0
    await transaction.commit()

    assert await clean_up(cleaning, keep_accessed_days=7) == 0
    assert await clean_up(cleaning) == 1
