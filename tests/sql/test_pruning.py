"""What maintenance prunes: the audit trail, dead letters, reservations nobody leads."""

from __future__ import annotations

from typing import Any

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    events,
    fail,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
)
from tests.sql.maintenance import maintain


async def age_trail(db: Any, days: int) -> None:
    triggers = ("refuse_audit_change", "refuse_audit_row_change")
    for trigger in triggers:
        await db.execute(f"alter table media_audit_log disable trigger {trigger}")
    await db.execute("update media_audit_log set at = now() - make_interval(days => $1)", days)
    for trigger in triggers:
        await db.execute(f"alter table media_audit_log enable always trigger {trigger}")


async def test_the_trail_is_pruned_only_past_its_time(db: Any) -> None:
    media = await queue_media(db)
    await age_trail(db, 401)
    await db.execute("select cancel_media($1)", media)

    assert (await maintain(db))["pruned_audit_events"] == 1

    assert await events(db, media) == ["cancelled"]
    with refused("MD040", "DELETE"):
        await db.execute("delete from media_audit_log")
    with refused("23514"):
        await db.execute("update media_settings set audit_kept = '1 hour'")


async def test_dead_letters_past_their_time_leave_the_queue(db: Any) -> None:
    old, young = [await queue_media(db) for _ in range(2)]
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="100")
    await db.execute(
        "update media_processing_queue set died_at = now() - interval '91 days' where id = $1", old
    )

    assert (await maintain(db))["pruned_dead_letters"] == 1

    assert await queue_row(db, old) is None
    assert (await media_row(db, old))["failure_code"] == "media_expired_or_foreign"
    assert (await status(db, old))["status"] == "failed"
    assert (await queue_row(db, young))["status"] == "failed"
    assert (await events(db, old))[-1] == "dead letter pruned"


async def test_reservations_nobody_leads_are_dropped(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    assert (await maintain(db))["dropped_reservations"] == 0
    await db.execute("delete from media_processing_queue")  # as a restored backup may have it

    assert (await maintain(db))["dropped_reservations"] == 1

    assert await db.fetchval("select count(*) from media_objects") == 0
    path = await db.fetchval("select storage_path from media_deletion_queue")
    assert path == begun["storage_path"]


async def test_the_trail_of_held_media_stays_and_holds_up_nothing(db: Any) -> None:
    held = [await queue_media(db) for _ in range(4)]
    for media in held:
        await db.execute("select hold_media($1, 'case')", media)
    other = await queue_media(db)
    await age_trail(db, 401)
    prune = "select prune_media_audit('400 days', 3)"

    pruned = [await db.fetchval(prune) for _ in range(4)]

    assert pruned == [0, 0, 1, 0]  # and begins anew
    assert await events(db, other) == []
    assert await events(db, held[0]) == ["queued", "held"]
    with refused("MD040", "DELETE"):
        await db.execute("delete from media_audit_log")
    await db.execute("select release_media_hold($1)", held[0])
    assert sum([await db.fetchval(prune) for _ in range(4)]) == 2
    assert await events(db, held[0]) == ["hold released"]
    assert await events(db, held[1]) == ["queued", "held"]


async def test_dead_letters_that_somebody_holds_are_passed_over(db: Any, connect: Connect) -> None:
    rows = [await queue_media(db) for _ in range(3)]
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="100")
    await db.execute("update media_processing_queue set died_at = now() - interval '91 days'")
    other, bot = await connect(), await connect()
    one, two = other.transaction(), bot.transaction()
    await one.start()
    await two.start()
    await other.execute("select from media_processing_queue where id = $1 for update", rows[0])
    await bot.execute("select from media where id = $1 for update", rows[1])

    assert await db.fetchval("select prune_dead_letters('90 days')") == 1

    assert await queue_row(db, rows[2]) is None
    await one.rollback()
    await two.rollback()
    assert await db.fetchval("select prune_dead_letters('90 days')") == 2


async def test_reservations_that_somebody_holds_are_passed_over(db: Any, connect: Connect) -> None:
    for content in (b"x", b"y"):
        media = await queue_media(db)
        token = (await claim(db))[media]
        await begin_upload(db, media, token, content_hash=sha256(content))
    await db.execute("delete from media_processing_queue")
    other = await connect()
    async with other.transaction():
        await other.execute("select from media_objects limit 1 for update")

        assert await db.fetchval("select drop_orphan_reservations()") == 1

    assert await db.fetchval("select drop_orphan_reservations()") == 1


async def test_cleanups_that_nobody_went_on_with_are_forgotten(db: Any, connect: Connect) -> None:
    await db.execute(
        "insert into media_cleanups (arguments, media_type, is_dated, reached_at, reached_id,"
        " saved_at) select jsonb_build_array(m), '', true, now(), gen_random_uuid(),"
        " now() - m * interval '1 minute' from unnest('{9, 11, 12}'::integer[]) m"
    )
    other = await connect()
    async with other.transaction():
        await other.execute("select from media_cleanups where arguments = '[12]' for update")
        assert (await maintain(db))["forgotten_cleanups"] == 1
    assert (await maintain(db))["forgotten_cleanups"] == 1

    assert await db.fetchval("select array_agg(arguments) from media_cleanups") == ["[9]"]
