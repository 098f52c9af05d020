"""What maintenance prunes: the audit trail, dead letters, reservations nobody leads."""

from __future__ import annotations

from typing import Any

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


async def test_the_trail_is_pruned_only_past_its_time(db: Any) -> None:
    media = await queue_media(db)
    await db.execute("alter table media_audit_log disable trigger refuse_audit_change")
    await db.execute("update media_audit_log set at = now() - interval '401 days'")
    await db.execute("alter table media_audit_log enable trigger refuse_audit_change")
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
