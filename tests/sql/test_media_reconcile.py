"""The functions of `pgmedia reconcile`: what differs, what is believed, which runs there are."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.helpers import (
    add_message,
    begin_upload,
    claim,
    media_row,
    queue_media,
    sha256,
    store,
)
from tests.sql.reconcile import (
    ORPHAN,
    File,
    X,
    age,
    begin,
    check,
    compare,
    confirm,
    confirmed,
    differences,
    file,
    fix,
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
    orphans = [file(f"2025/12/{uuid4()}.pdf", "documents") for _ in range(3)]
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
        file(f"x/{ORPHAN}"),
        file(f"./{ORPHAN}"),
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


@pytest.mark.parametrize(
    "path",
    [
        "2026/01/by-hand.jpg",
        "2026/01/deeper/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg",
        "2026/01//7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg",
        "2026/01/../7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg",
        "2026/13/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg",
        "2026/01/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43",
        "2026/01/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg.bak",
        "2026/01/7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg\n",
        "2026/01/7D9B2F60-91C4-4B6E-8A35-5F0E6C1D2A43.jpg",
        "2026/01/copy of 7d9b2f60-91c4-4b6e-8a35-5f0e6c1d2a43.jpg",
    ],
)
async def test_a_file_that_pgmedia_did_not_name_is_counted_and_left_alone(
    db: Any, path: str
) -> None:
    run = await begin(db, "images")
    await list_files(db, run, file(path), file(ORPHAN), file("2026/02/young.jpg", created_at=None))

    found = await db.fetchrow("select * from compare_media_storage($1, 'images', '', 9)", run)

    assert found["foreign_files"] == 2
    assert await compare(db, run) == {("images", ORPHAN)}
    assert await confirm(db, run, file(path), file(ORPHAN)) == {ORPHAN: "orphan"}


async def test_a_path_of_pgmedias_own_is_known_for_one(db: Any) -> None:
    path = (await media_row(db, await store(db, X)))["storage_path"]

    assert await db.fetchval("select is_media_path($1)", path)


async def test_the_next_steps_come_after_the_last_path(db: Any) -> None:
    """Each file is compared once: foreign ones are not counted twice."""
    run = await begin(db, "images")
    paths = [f"2026/01/{n}.jpg" for n in range(5)]
    await list_files(db, run, *[file(path) for path in paths])

    steps: list[tuple[str | None, int]] = [("", 0)]
    while steps[-1][0] is not None:
        call = "select * from compare_media_storage($1, 'images', $2, 2)"
        steps.append(tuple(await db.fetchrow(call, run, steps[-1][0])))

    assert steps[1:] == [(paths[1], 2), (paths[3], 2), (paths[4], 1), (None, 0)]


async def test_a_file_of_which_storage_did_not_say(db: Any) -> None:
    """It is neither believed to differ nor asked for for ever."""
    media = await store(db, X)
    await age(db)
    path = (await stored_file(db, media))["storage_path"]
    run = await begin(db)
    unknown = gone(path) | {"is_there": None}
    assert await compare(db, run) == {("images", path)}

    assert await confirm(db, run, unknown) == {}

    for step in ("found", "confirmed"):
        assert await db.fetch("select * from list_media_differences($1, $2, 9)", run, step) == []
    run = await confirmed(db, [], gone(path))
    assert await fix(db, run, unknown) == {path: "storage did not say"}
    assert await fix(db, run, gone(path)) == {}
    assert (await media_row(db, media))["processed"]


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
