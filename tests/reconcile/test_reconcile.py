"""`pgmedia reconcile`, as a process of its own, against real servers and a real poller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import events, queue_media, sha256
from tests.helpers import status as media_status
from tests.reconcile.conftest import (
    AUDIO,
    LEFT_OVER,
    NOW,
    ORPHAN,
    PDF,
    YOUNG,
    Hand,
    Reconcile,
    age_rows,
    drain,
    file_of,
    files_in,
    state,
)


async def test_everything_that_can_differ(
    db: Any, whatsapp: WhatsAppApi, hand: Hand, files: Path, reconcile: Reconcile,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    """Found and left alone; then fixed; and fetched again by a poller."""
    photos = [variant(SAMPLES[0], number) for number in range(5)]
    ids = [whatsapp.add_media(photo, "image/jpeg") for photo in photos]
    kept, lost, cut, retyped, expired = [await queue_media(db, one) for one in ids]
    same = await queue_media(db, whatsapp.add_media(photos[1], "image/jpeg"))
    await drain(start_poller)
    place = {
        name: await file_of(db, media)
        for name, media in [("lost", lost), ("cut", cut), ("type", retyped), ("expired", expired)]
    }
    await hand.make_bucket("avatars")
    for outside in (f"avatars/{NOW}/a.jpg", "images/a.jpg", "images/by-hand/a.jpg"):
        await hand.put(outside)
    await hand.put(ORPHAN, b"12345")
    await hand.put(f"images/{NOW}/by-hand.jpg")
    await hand.put(PDF, mime_type="application/pdf")
    await hand.put(place["cut"], photos[2][:-1])
    await hand.put(place["type"], photos[3], "image/png")
    await hand.remove(place["lost"])
    await hand.remove(place["expired"])
    whatsapp.expire_media(ids[4])
    hand.age()
    await age_rows(db)
    await hand.put(YOUNG)
    young = await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], 9), "image/jpeg"))
    await drain(start_poller)
    await hand.remove(await file_of(db, young))
    expected = {
        ORPHAN: "orphan",
        PDF: "orphan",
        place["lost"]: "missing",
        place["expired"]: "missing",
        place["cut"]: "differs",
        place["type"]: "differs",
    }
    before = await state(db)

    only_found = await reconcile("--json")

    assert (only_found.code, only_found.problems) == (1, [])
    assert only_found.found == expected
    assert only_found.totals == {
        "files": 7, "orphan": 2, "missing": 2, "differs": 2, "unknown": 0, "foreign": 1,
        "fixed": 0, "expired": 0, "left": 0, "dry_run": True,
    }  # fmt: skip
    by_kind = {line["storage_path"]: line for line in only_found.lines[:-1]}
    assert by_kind[place["cut"].partition("/")[2]]["file_size"] == len(photos[2]) - 1
    assert by_kind[place["lost"].partition("/")[2]]["attachments"] == 2
    assert await state(db) == before
    tried = await reconcile("--fix", "--dry-run")
    assert (tried.code, tried.problems) == (1, [])
    plan = "dry run: --fix would remove 2 files and download 5 attachments again"
    assert tried.said[-1] == plan
    assert await state(db) == before
    fixed = await reconcile("--json", "--fix", "--yes")
    assert (fixed.code, fixed.problems) == (0, [])
    assert fixed.found == expected
    assert fixed.outcomes == {
        file: "removal queued" if kind == "orphan" else "queued again"
        for file, kind in expected.items()
    }
    assert fixed.totals["fixed"] == 6
    await drain(start_poller)
    for media, photo in [(kept, 0), (lost, 1), (same, 1), (cut, 2), (retyped, 3)]:
        file = await file_of(db, media)
        assert file not in place.values()
        assert sha256((files / file).read_bytes()) == sha256(photos[photo])
    assert sorted([(await events(db, one))[-1] for one in (lost, same)]) == [
        "deduplicated", "stored",
    ]  # fmt: skip
    assert (await media_status(db, expired))["error_code"] == "media_expired_or_foreign"
    assert "file missing" in await events(db, expired)
    there = files_in(files)
    assert not {file for file, kind in expected.items() if kind == "orphan"} & there
    assert {place["cut"], place["type"], YOUNG, "images/a.jpg"} < there
    hand.age()
    await hand.remove(YOUNG)
    await age_rows(db)
    await db.execute("delete from media where id = $1", young)
    again = await reconcile("--json")
    assert (again.code, again.found) == (0, {})
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)


async def test_what_an_operator_reads(
    db: Any, whatsapp: WhatsAppApi, hand: Hand, reconcile: Reconcile, start_poller: StartPoller
) -> None:
    medias = [
        await queue_media(db, whatsapp.add_media(variant(SAMPLES[0], n), "image/jpeg"))
        for n in range(2)
    ]
    await drain(start_poller)
    lost, cut = [await file_of(db, media) for media in medias]
    size = await db.fetchval("select file_size from media where id = $1", medias[1])
    assert (await reconcile()).said == ["2 files in storage: 0 orphan, 0 missing, 0 differs"]
    await hand.remove(lost)
    await hand.put(cut, b"12", "image/png")
    await hand.put(AUDIO, b"123", "audio/mpeg")
    hand.age()
    await age_rows(db)

    ended = await reconcile()

    assert (ended.code, ended.problems) == (1, [])
    header, *rows, totals = ended.said
    assert header.split() == ["DIFFERENCE", "FILE", "DETAIL"]
    found = {" ".join(row.split()) for row in rows}
    other = await db.fetchval("select file_size from media where id = $1", medias[0])
    assert found == {
        f"orphan {AUDIO} 3 bytes, audio/mpeg, of 2026-01-01 12:00 UTC",
        f"missing {lost} 1 attachment, {other:,} bytes, image/jpeg",
        f"differs {cut} 1 attachment; 2 bytes, not {size:,} bytes; image/png, not image/jpeg",
    }
    assert totals == "2 files in storage: 1 orphan, 1 missing, 1 differs"
    one_bucket = await reconcile("--bucket", "audio", "--fix", "--yes")
    assert one_bucket.code == 0
    assert one_bucket.said[-2:] == [
        "1 file in storage: 1 orphan, 0 missing, 0 differs",
        "1 file queued for removal, 0 attachments queued again, 0 not fixed",
    ]


X_JPG = "ffffffff-0000-4000-8000-000000000000.jpg"


async def test_a_folder_of_many_pages(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile
) -> None:
    """2,501 files, which is three pages; one that was lost and orphans at the edges of pages."""
    paths = [f"{NOW}/{n:08}-0000-4000-8000-000000000000.jpg" for n in range(2500)]
    await db.execute(
        "insert into media_objects (content_hash, is_public, state, file_size, stored_hash,"
        " stored_size, mime_type, bucket_name, storage_path, stored_at)"
        " select encode(sha256(p::bytea), 'hex'), true, 'stored', 1, encode(sha256(p::bytea),"
        " 'hex'), 1, 'image/jpeg', 'images', p, '2026-01-01' from unnest($1::text[]) p",
        paths,
    )
    await hand.put(f"images/{NOW}/{X_JPG}")
    hand.copy(f"images/{NOW}/{X_JPG}", [path for path in paths if path != paths[1234]])
    hand.age()
    orphans = [paths[n] for n in (0, 998, 999, 1000, 1999, 2000, 2001, 2499)]
    await db.execute("delete from media_objects where storage_path = any ($1)", orphans)

    ended = await reconcile("--json", "--bucket", "images")

    assert ended.found == {
        f"images/{paths[1234]}": "missing",
        f"images/{NOW}/{X_JPG}": "orphan",
        **{f"images/{path}": "orphan" for path in orphans},
    }
    assert ended.totals["files"] == 2500
    assert storage.requests["list"] == 3
    assert storage.requests["info"] == 10


async def test_a_file_that_the_listing_missed_is_not_lost(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, reconcile: Reconcile,
    start_poller: StartPoller,
) -> None:  # fmt: skip
    media = await queue_media(db, whatsapp.add_media(SAMPLES[0].read(), "image/jpeg"))
    await drain(start_poller)
    await age_rows(db)
    storage.faults.always("list", Fault(200, {"hasNext": False, "folders": [], "objects": []}))

    ended = await reconcile("--json", "--fix", "--yes")

    assert (ended.code, ended.found) == (0, {})
    assert storage.requests["info"] == 1
    assert (await media_status(db, media))["status"] == "stored"


async def test_a_row_with_a_path_that_storage_cannot_have(db: Any, reconcile: Reconcile) -> None:
    await db.execute(
        "insert into media_objects (content_hash, is_public, state, file_size, stored_hash,"
        " stored_size, mime_type, bucket_name, storage_path, stored_at) values ($1, true, 'stored',"
        " 1, $1, 1, 'image/jpeg', 'images', '2026/02/bücher~#?.jpg', '2026-01-01')",
        sha256(b"x"),
    )

    ended = await reconcile("--json")

    assert ended.found == {"images/2026/02/bücher~#?.jpg": "missing"}


async def test_the_tables_of_supabase_take_the_place_of_a_listing(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile
) -> None:
    await db.execute(
        "create schema storage;"
        "create table storage.buckets (id text primary key, name text not null);"
        "insert into storage.buckets select bucket_name, bucket_name from media_buckets;"
        "create table storage.objects (id uuid primary key default gen_random_uuid(),"
        " bucket_id text, name text, owner uuid, created_at timestamptz, updated_at timestamptz,"
        " metadata jsonb, unique (bucket_id, name));"
        "insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)"
        " select 'images', p, '2026-01-01', '2026-01-01', jsonb_build_object('size', 1, 'mimetype',"
        " 'image/jpeg', 'eTag', 'x')"
        " from unnest('{2026/02/00000000-0000-4000-8000-000000000001.jpg,"
        "2026/02/00000000-0000-4000-8000-000000000002.jpg,c.jpg}'::text[]) p"
    )
    there = "images/2026/02/00000000-0000-4000-8000-000000000001.jpg"
    await hand.put(there)  # the other one is gone by now
    hand.age()

    ended = await reconcile("--json")

    assert ended.found == {there: "orphan"}
    assert ended.totals["files"] == 2
    assert storage.requests["list"] == 0
