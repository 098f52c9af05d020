"""Runs of `pgmedia reconcile`: where files are listed, how a run ends, Supabase's tables."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.helpers import (
    everything,
    refused,
    store,
)
from tests.sql.reconcile import (
    LONG_AGO,
    ORPHAN,
    X,
    age,
    begin,
    compare,
    file,
    list_files,
    stored_file,
)


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
        "  ('images', '2026/01/00000000-0000-4000-8000-000000000001.jpg', null),"
        "  ('images', '2026/01/00000000-0000-4000-8000-000000000002.jpg', '{\"size\": \"many\"}'),"
        "  ('images', 'outside.jpg', '{}'), ('avatars', '2026/01/foreign.jpg', '{}'))"
        " v (b, p, m)",
        LONG_AGO, there["storage_path"],
    )  # fmt: skip
    await db.execute(
        "insert into storage.objects (bucket_id, name)"
        " values ('images', '2026/01/00000000-0000-4000-8000-000000000003.jpg')"
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
        ("images", "2026/01/00000000-0000-4000-8000-000000000001.jpg"),
        ("images", "2026/01/00000000-0000-4000-8000-000000000002.jpg"),
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
