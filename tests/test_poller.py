"""The main job, end to end: real poller processes against real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poller.sandbox.postgres import free_port
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import events, eventually, queue_media, sha256, status

SPENT = "whatsapp_refusals_spent"


async def test_an_attachment_is_stored(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    content = SAMPLES[0].read()
    media = await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    await start_poller()

    stored = await eventually(lambda: db.fetchrow("select * from media where processed"))

    assert stored["id"] == media
    assert stored["content_hash"] == sha256(content)
    assert stored["file_size"] == len(content)
    assert stored["mime_type"] == "image/jpeg"
    assert (files / "images" / stored["storage_path"]).read_bytes() == content
    assert (
        stored["public_url"]
        == f"{storage.url}/storage/v1/object/public/images/{stored['storage_path']}"
    )
    assert await events(db, media) == ["queued", "claimed", "stored"]
    assert await db.fetchval("select count(*) from media_processing_queue") == 0


async def test_the_poller_of_these_tests_works_as_media_poller_alone(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))
    await start_poller()
    await eventually(lambda: db.fetchval("select bool_or(processed) from media"))

    logins = await db.fetch(
        "select distinct usesysid as oid from pg_stat_activity"
        " where datname = current_database() and application_name like 'pgmedia %'"
    )
    (login,) = await db.fetch("select * from pg_roles where oid = any ($1)", [o for (o,) in logins])
    roles = await db.fetch(
        "select roleid::regrole::text from pg_auth_members where member = $1", login["oid"]
    )

    assert [row[0] for row in roles] == ["media_poller"]
    assert not login["rolsuper"]
    assert not login["rolbypassrls"]
    assert len(logins) == 1


async def test_every_format_is_stored(
    db: Any, whatsapp: WhatsAppApi, files: Path, start_poller: StartPoller
) -> None:
    expected: dict[Any, Any] = {}
    for sample in SAMPLES:
        media_id = whatsapp.add_media(sample.path, sample.mime_type)
        expected[await queue_media(db, media_id, media_type=sample.media_type)] = sample
    drained = await start_poller("--drain")
    assert await drained.ended() == 0

    rows = await db.fetch("select * from media where processed")

    assert {row["id"]: row["mime_type"] for row in rows} == {
        media: sample.mime_type for media, sample in expected.items()
    }
    for row in rows:
        file = files / row["bucket_name"] / row["storage_path"]
        assert file.read_bytes() == expected[row["id"]].read()


async def test_a_larger_file_goes_through_the_disk(
    db: Any, whatsapp: WhatsAppApi, files: Path, start_poller: StartPoller
) -> None:
    content = variant(SAMPLES[0], 1) + b"\0" * 5_000_000
    await queue_media(db, whatsapp.add_media(content, "image/jpeg"))
    await (await start_poller("--drain")).ended()

    path = await db.fetchval("select storage_path from media where processed")

    assert sha256((files / "images" / path).read_bytes()) == sha256(content)


async def test_two_pollers_upload_each_content_once(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, files: Path, start_poller: StartPoller
) -> None:
    contents = [variant(SAMPLES[number % 6], number // 6) for number in range(350)]
    for number in range(500):
        content = contents[number if number < 350 else (number * 7) % 350]
        media_id = whatsapp.add_media(content, SAMPLES[contents.index(content) % 6].mime_type)
        known = number % 3 == 0  # the hash is known to some webhooks and not to others
        await queue_media(
            db, media_id, media_type="image", sha256=sha256(content) if known else None
        )
    pollers = [await start_poller("--drain"), await start_poller("--drain")]
    for one in pollers:
        assert await one.ended() == 0

    assert await db.fetchval("select count(*) from media where processed") == 500
    assert await db.fetchval("select count(*) from media_objects where state = 'stored'") == 350
    assert set(storage.uploads.values()) == {1}
    stored = {sha256(file.read_bytes()) for file in (files / "images").rglob("*.*")}
    assert stored == {sha256(content) for content in contents}


async def test_a_forwarded_video_is_downloaded_once(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    content = SAMPLES[12].read()
    for number in range(1000):
        media_id = whatsapp.add_media(content, "video/mp4")
        known = sha256(content) if number % 2 else None
        await queue_media(db, media_id, media_type="video", sha256=known)
    pollers = [await start_poller("--drain"), await start_poller("--drain")]
    for one in pollers:
        assert await one.ended() == 0

    assert await db.fetchval("select count(*) from media where processed") == 1000
    assert whatsapp.downloads.total() == 1
    assert storage.uploads.total() == 1


async def test_a_number_is_never_refused_more_than_its_limit(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    whatsapp.token = "another, since the poller's has expired"
    for _ in range(100):
        await queue_media(
            db, whatsapp.add_media(SAMPLES[0].path, "image/jpeg"), phone_number_id="1"
        )
    for _ in range(4):
        await start_poller()
    await eventually(lambda: db.fetchval("select count(*) from media_pauses") or False)

    for _ in range(12):  # pauses end, probes fail
        await eventually(lambda: idle(db))
        before = whatsapp.refused
        await db.execute("update media_pauses set until = now() where reason <> $1", SPENT)
        await db.execute(
            "update media_processing_queue set due_at = now() where id = any (array("
            "select id from media_processing_queue where status = 'pending'"
            " for update skip locked))"
        )
        await eventually(lambda before=before: probed(db, whatsapp, before))

    assert whatsapp.refused == 19
    assert await db.fetchval("select reason from media_pauses") == SPENT
    assert await db.fetchval("select max(attempts) from media_processing_queue") == 0


async def idle(db: Any) -> bool:
    return await db.fetchval(
        "select count(*) = 0 from media_processing_queue where status = 'processing'"
    )


async def probed(db: Any, whatsapp: WhatsAppApi, before: int) -> bool:
    spent = await db.fetchval("select exists (select from media_pauses where reason = $1)", SPENT)
    return await idle(db) and (spent or whatsapp.refused > before)


async def test_the_poller_is_woken_by_notify(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    poller = await start_poller(PGMEDIA_POLL_SECONDS="60")
    await poller.logged("woken by LISTEN/NOTIFY")
    media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))

    await eventually(lambda: db.fetchval("select processed from media where id = $1", media), 10)


async def test_a_whatsapp_that_is_not_there_costs_no_attempt(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    for _ in range(3):
        await queue_media(
            db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"), phone_number_id="1"
        )

    poller = await start_poller("--drain", WHATSAPP_API_URL=f"http://127.0.0.1:{free_port()}")

    assert await poller.ended() == 0  # nothing is due while the number is paused
    assert await db.fetchval("select reason from media_pauses") == "whatsapp_absent"
    assert await db.fetchval("select sum(attempts) from media_processing_queue") == 0
    assert await db.fetchval("select refused_at from media_sources") == []
    await db.execute("select resume_media_source('whatsapp:1')")
    await db.execute("update media_processing_queue set due_at = now()")
    assert await (await start_poller("--drain")).ended() == 0
    assert await db.fetchval("select count(*) from media where processed") == 3


async def test_a_storage_that_is_not_there_loses_nothing(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    for number in range(20):
        content = variant(SAMPLES[0], number)
        await queue_media(db, whatsapp.add_media(content, "image/jpeg"), phone_number_id="1")

    url = f"http://127.0.0.1:{free_port()}"
    await db.execute("update media_settings set project_url = $1", url)
    poller = await start_poller("--drain", SUPABASE_URL=url)

    assert await poller.ended() == 0  # nothing is due while storage is paused
    assert "paused, storage_absent: " in poller.log.read_text()
    assert await db.fetchval("select reason from media_pauses") == "storage_absent"
    assert await db.fetchval("select sum(attempts) from media_processing_queue") == 0
    await db.execute("update media_settings set project_url = $1", storage.url)
    await db.execute("select resume_media_source('storage')")
    await db.execute("update media_processing_queue set due_at = now()")
    assert await (await start_poller("--drain")).ended() == 0
    assert await db.fetchval("select count(*) from media where processed") == 20


async def test_what_fails_for_good_says_why(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    jpeg = SAMPLES[0].read()
    await db.execute("update media_settings set max_attempts = 1")
    expired = whatsapp.add_media(jpeg, "image/jpeg")
    whatsapp.expire_media(expired)
    expected = {
        await queue_media(db, expired): "media_expired_or_foreign",
        await queue_media(db, whatsapp.add_media(60_000_000, "image/jpeg")): "too_large",
        await queue_media(
            db, whatsapp.add_media(60_000_000, "image/jpeg", file_size=5)
        ): "too_large",
        await queue_media(
            db, whatsapp.add_media(b"<html><script>", "image/jpeg")
        ): "active_content",
        await queue_media(db, whatsapp.add_media(b"", "image/jpeg")): "empty_file",
        await queue_media(db, whatsapp.add_media(jpeg, "image/svg+xml")): "type_not_allowed",
        await queue_media(
            db, whatsapp.add_media(SAMPLES[17].read(), "image/jpeg")
        ): "type_mismatch",
        await queue_media(
            db, whatsapp.add_media(jpeg, "image/jpeg", sha256="0" * 64)
        ): "hash_mismatch",
    }
    assert await (await start_poller("--drain")).ended() == 0

    found = {media: await status(db, media) for media in expected}

    assert {media: row["error_code"] for media, row in found.items()} == expected
    assert {row["status"] for row in found.values()} == {"failed"}
    assert not storage.uploads
    assert await db.fetchval("select count(*) from media_objects") == 0
