"""The functions of `pgmedia reconcile`: what differs, what is believed, which runs there are."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.helpers import (
    add_message,
    begin_upload,
    claim,
    everything,
    queue_media,
    refused,
    sha256,
    store,
)
from tests.sql.reconcile import (
    LONG_AGO,
    ORPHAN,
    File,
    X,
    age,
    begin,
    check,
    compare,
    confirm,
    differences,
    file,
    gone,
    list_files,
    stored_file,
)


async def test_what_is_as_it_should_be(db: Any) -> None:
    media = await store(db, X)
    await age(db)

    assert await differences(db, await stored_file(db, media)) == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_all_three_kinds_whatever_the_steps(db: Any, limit: int) -> None:
    kept, lost, cut, retyped = [await store(db, sha256(bytes([n]))) for n in range(4)]
    await age(db)
    right, missing = await stored_file(db, kept), await stored_file(db, lost)
    short = await stored_file(db, cut) | {"file_size": 999}
    other = await stored_file(db, retyped) | {"mime_type": "Application/Octet-Stream; x=y"}
    orphans = [file(f"2025/12/{n}.jpg", "documents") for n in range(3)]
    run = await begin(db)
    await list_files(db, run, right, short, other, *orphans)

    found = await compare(db, run, limit)

    asked = [short, other, gone(missing["storage_path"]), *orphans]
    assert found == {(one["bucket_name"], one["storage_path"]) for one in asked}
    assert await confirm(db, run, *asked) == {
        short["storage_path"]: "differs",
        other["storage_path"]: "differs",
        missing["storage_path"]: "missing",
        **{one["storage_path"]: "orphan" for one in orphans},
    }


@pytest.mark.parametrize(
    "left_alone",
    [
        file(ORPHAN, updated_at="infinity"),  # young
        file(ORPHAN, created_at="infinity"),
        file(ORPHAN, created_at=None, updated_at=None),  # of unknown age
        file(ORPHAN, bucket="avatars"),
        file("by-hand.jpg"),
        file("2026/by-hand.jpg"),
        file("2026/1/by-hand.jpg"),
        file("x/2026/01/by-hand.jpg"),
        file("20261/01/by-hand.jpg"),
        file("2026/01/.emptyFolderPlaceholder"),
    ],
)
async def test_a_file_that_is_not_ours_to_judge(db: Any, left_alone: File) -> None:
    assert await differences(db, left_alone) == {}


async def test_a_file_on_its_way_in_or_out(db: Any) -> None:
    leaving = await store(db, X)
    uploading = await queue_media(db)
    token = (await claim(db))[uploading]
    begun = await begin_upload(db, uploading, token, content_hash=sha256(b"y"))
    left = await stored_file(db, leaving)
    await db.execute("select delete_media($1)", leaving)
    await age(db)

    assert await differences(db, file(begun["storage_path"]), left) == {}
    await db.execute("select * from claim_media_deletions('one', 1)")
    assert await differences(db, file(begun["storage_path"]), left) == {}
    await check(db)


@pytest.mark.parametrize("bucket", ["images", None])
@pytest.mark.parametrize("prefix", ["", "images/"])
async def test_a_file_that_a_bot_stored_before_it_had_pgmedia(
    db: Any, bucket: str | None, prefix: str
) -> None:
    await db.execute(
        "insert into media (message_id, whatsapp_media_id, bucket_name, storage_path)"
        " values ($1, 'old', $2, $3)",
        await add_message(db), bucket, prefix + ORPHAN,
    )  # fmt: skip

    assert await differences(db, file(ORPHAN)) == {}
    assert await differences(db, file(ORPHAN, "documents")) == (
        {ORPHAN: "orphan"} if bucket or prefix else {}
    )


async def test_a_young_row_is_left_alone(db: Any) -> None:
    media = await store(db, X)
    stored = await stored_file(db, media)

    assert await differences(db) == {}
    assert await differences(db, stored | {"file_size": 1}) == {}
    await age(db)
    assert await differences(db, stored | {"file_size": 1, "updated_at": "infinity"}) == {}
    assert await differences(db, stored | {"file_size": 1}) == {stored["storage_path"]: "differs"}
    await db.execute("update media_settings set reconcile_min_age = '3 hours'")
    assert await differences(db) == {}


async def test_what_storage_does_not_say_is_no_difference(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    unknown = await stored_file(db, media) | {"file_size": None, "mime_type": None}

    assert await differences(db, unknown) == {}


async def test_one_bucket_only(db: Any) -> None:
    await store(db, X)
    await age(db)
    run = await begin(db, "documents")
    await list_files(db, run, file(ORPHAN, "documents"), file(ORPHAN, "audio"))

    assert await compare(db, run) == {("documents", ORPHAN)}
    await db.execute("select compare_media_storage($1, 'audio', '', 9)", run)
    rows = await db.fetch("select * from list_media_differences($1, 'found', 9)", run)
    assert [row["bucket_name"] for row in rows] == ["documents"]


async def test_a_file_that_the_listing_missed(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    there = await stored_file(db, media)
    run = await begin(db)
    assert await compare(db, run) == {("images", there["storage_path"])}

    assert await confirm(db, run, there) == {}

    assert await db.fetch("select * from list_media_differences($1, 'confirmed', 9)", run) == []


async def test_a_file_that_left_after_it_was_listed(db: Any) -> None:
    """By its row and through the deletion queue: a file without a row, were it still there."""
    media = await store(db, X)
    await age(db)
    left = await stored_file(db, media)
    run = await begin(db)
    await list_files(db, run, left)
    await db.execute("select delete_media($1)", media)
    held = await db.fetchrow("select * from claim_media_deletions('one', 9)")
    await db.execute(
        "select finish_media_deletions('one', $1, $2)", [held["id"]], [held["fencing_token"]]
    )
    assert await compare(db, run) == {("images", left["storage_path"])}

    assert await confirm(db, run, gone(left["storage_path"])) == {}


@pytest.mark.parametrize("how", ["ended", "never begun", "crashed"])
async def test_a_run_that_is_over(db: Any, how: str) -> None:
    run = await begin(db) if how != "never begun" else uuid4()
    if how == "ended":
        await list_files(db, run, file(ORPHAN))
        await compare(db, run)
        await db.execute("select end_media_reconcile($1)", run)
    elif how == "crashed":  # after a crash, Postgres empties unlogged tables
        await db.execute(
            "truncate media_reconcile_runs, media_storage_listing, media_storage_differences"
        )
    before = await everything(db)
    assert before["media_storage_listing"] == before["media_storage_differences"] == []

    for call in (
        "add_media_listing($1, '[]')",
        "compare_media_storage($1, 'images', '', 9)",
        "confirm_media_differences($1, '[]')",
        "fix_media_differences($1, '[]')",
        "copy_media_listing($1, 'images', '', 9)",
    ):
        with refused("MD060", str(run)):
            await db.execute(f"select {call}", run)

    assert await everything(db) == before


async def test_a_crash_leaves_no_half_a_listing(db: Any) -> None:
    """Which would make files look lost: what is emptied is emptied together."""
    rows = await db.fetch(
        "select relname from pg_class where relpersistence = 'u' and relkind = 'r'"
    )

    assert {row[0] for row in rows} == {
        "media_reconcile_runs", "media_storage_listing", "media_storage_differences",
    }  # fmt: skip


async def test_a_run_that_died_is_forgotten_by_a_later_one(db: Any) -> None:
    dead, alive = await begin(db), await begin(db)
    for run in (dead, alive):
        await list_files(db, run, file(ORPHAN))
        await compare(db, run)
    await db.execute("update media_reconcile_runs set seen_at = now() - interval '61 min'")
    await list_files(db, alive)  # a word of it

    new = await begin(db)

    rows = await db.fetch("select id from media_reconcile_runs")
    assert {row["id"] for row in rows} == {alive, new}
    for table in ("media_storage_listing", "media_storage_differences"):
        assert await db.fetchval(f"select array_agg(run_id) from {table}") == [alive]


async def test_another_project_is_refused(db: Any) -> None:
    await db.execute("select set_media_project_url('https://one.supabase.co')")

    with refused("MD061", "https://one.supabase.co, not of 'https://two.supabase.co'"):
        await begin(db, url="https://two.supabase.co")
    await begin(db, url="https://one.supabase.co/")


async def test_an_unknown_bucket_is_refused(db: Any) -> None:
    with refused("MD062", "unknown bucket 'avatars'"):
        await begin(db, "avatars")


STORAGE_TABLES = """
create schema storage;
create table storage.buckets (id text primary key, name text not null);
create table storage.objects (
    id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets,
    name text, owner uuid, created_at timestamptz default now(),
    updated_at timestamptz default now(), metadata jsonb
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
insert into storage.buckets select bucket_name, bucket_name from media_buckets;
insert into storage.buckets values ('avatars', 'avatars');
"""


async def from_tables(db: Any, bucket: str | None = None) -> bool:
    return await db.fetchval(
        "select from_tables from begin_media_reconcile('http://storage', $1)", bucket
    )


async def test_the_tables_of_supabase_are_read_where_they_are(db: Any) -> None:
    media = await store(db, X)
    await age(db)
    there = await stored_file(db, media)
    assert await from_tables(db) is False
    await db.execute(STORAGE_TABLES)
    await db.execute(
        "insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)"
        " select b, p, $1::text::timestamptz, $1::text::timestamptz, m::jsonb from (values"
        "  ('images', $2, '{\"size\": 999, \"mimetype\": \"image/jpeg\", \"eTag\": \"x\"}'),"
        "  ('images', '2026/01/no-metadata.jpg', null),"
        "  ('images', '2026/01/odd.jpg', '{\"size\": \"many\"}'),"
        "  ('images', 'outside.jpg', '{}'), ('avatars', '2026/01/foreign.jpg', '{}'))"
        " v (b, p, m)",
        LONG_AGO, there["storage_path"],
    )  # fmt: skip
    await db.execute(
        "insert into storage.objects (bucket_id, name) values ('images', '2026/01/young.jpg')"
    )
    assert await from_tables(db) is True
    run = await begin(db)

    after, pages = "", list[int]()
    while after is not None:
        page = await db.fetchrow(
            "select * from copy_media_listing($1, 'images', $2, 2)", run, after
        )
        pages.append(page["files"])
        after = page["last_path"]

    assert pages == [2, 2, 0]
    assert await compare(db, run) == {
        ("images", there["storage_path"]),
        ("images", "2026/01/no-metadata.jpg"),
        ("images", "2026/01/odd.jpg"),
    }
    sizes = await db.fetch("select file_size from media_storage_listing order by storage_path")
    assert sorted(row[0] or 0 for row in sizes) == [0, 0, 0, 999]


@pytest.mark.parametrize(
    "obstacle",
    [
        "delete from storage.buckets where id = 'images'",  # of another project
        "drop table storage.buckets cascade",
        "alter table storage.objects drop column metadata",
    ],
)
async def test_tables_that_are_not_those_of_this_storage(db: Any, obstacle: str) -> None:
    await db.execute(STORAGE_TABLES)
    await db.execute(obstacle)

    assert await from_tables(db) is False


async def test_tables_that_may_not_be_read_whole(db: Any) -> None:
    """Under row-level security all files would seem to be lost."""
    role = f"pgmedia_test_{uuid4().hex}"
    call = "select reads_storage_tables('{images}')"
    await db.execute(STORAGE_TABLES)
    await db.execute(f"create role {role}")
    try:
        await db.execute(f"grant usage on schema public, storage to {role}")
        await db.execute(f"grant select on all tables in schema storage to {role}")
        await db.execute(f"grant execute on function reads_storage_tables to {role}")
        await db.execute(f"set role {role}")
        assert await db.fetchval(call) is True
        for obstacle in (
            "alter table storage.objects enable row level security",
            "alter table storage.objects disable row level security;"
            f" revoke select on storage.buckets from {role}",
            f"revoke usage on schema storage from {role}",
        ):
            await db.execute(f"reset role; {obstacle}; set role {role}")
            assert await db.fetchval(call) is False
    finally:
        await db.execute(f"reset role; drop owned by {role}; drop role {role}")
