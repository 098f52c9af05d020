"""`pgmedia reconcile` when storage is in trouble: nothing is done, and a line says why."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway, internal_error
from tests.helpers import sha256
from tests.reconcile.conftest import (
    LEFT_OVER,
    NOW,
    ORPHAN,
    Hand,
    Reconcile,
    state,
)


async def nothing_done(
    db: Any, reconcile: Reconcile, *arguments: str, code: int = 1, **changes: str
) -> str:
    """The one line that a run fails with, which changes nothing."""
    before = await state(db)

    ended = await reconcile(*arguments, **changes)

    assert (ended.code, ended.said, len(ended.problems)) == (code, [], 1), ended.problems
    assert await state(db) == before
    return ended.problems[0]


async def test_storage_in_trouble(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile
) -> None:
    await hand.put(ORPHAN)
    hand.age()
    fix = ("--fix", "--yes")
    storage.faults.always("info", internal_error())
    assert "refused: Internal Server Error" in await nothing_done(db, reconcile, *fix)
    storage.faults.clear()
    storage.faults.always("info", Fault(404, "<html>no such page</html>"))  # not Storage's word
    assert "answered HTTP 404" in await nothing_done(db, reconcile, *fix)
    storage.faults.clear()
    storage.faults.always("list", Fault(200, "<html>welcome</html>"))
    assert "none of Supabase's" in await nothing_done(db, reconcile, *fix)
    storage.faults.clear()
    bad_key = storage.make_key("service_role", secret="x" * 40)
    problem = await nothing_done(db, reconcile, *fix, SUPABASE_SERVICE_KEY=bad_key)
    assert "refused: signature verification failed" in problem
    await db.execute("update media_settings set project_url = 'https://other.supabase.co'")
    assert "https://other.supabase.co, not of" in await nothing_done(db, reconcile, *fix, code=2)
    await db.execute("update media_settings set project_url = null")
    assert "unknown bucket 'avatars'" in await nothing_done(
        db, reconcile, "--bucket", "avatars", *fix, code=2
    )
    async with httpx.AsyncClient() as http:
        await http.delete(
            f"{storage.url}/storage/v1/bucket/videos",
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )
    problem = await nothing_done(db, reconcile, *fix)
    assert problem == "pgmedia: bucket videos does not exist: run pgmedia buckets"
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)


async def test_trouble_that_passes(storage: StorageApi, hand: Hand, reconcile: Reconcile) -> None:
    await hand.put(ORPHAN)
    hand.age()
    for route in ("bucket", "list", "info"):
        storage.faults.once(route, bad_gateway())
        storage.faults.once(route, Fault.disconnect())

    ended = await reconcile("--json")

    assert ended.found == {ORPHAN: "orphan"}


async def test_who_may_not(db: Any, environment: dict[str, str], reconcile: Reconcile) -> None:
    problem = await nothing_done(db, reconcile, DATABASE_URL=environment["DATABASE_URL"])

    assert "permission denied for function begin_media_reconcile" in problem


async def test_a_fix_is_asked_for(db: Any, reconcile: Reconcile) -> None:
    before = await state(db)

    ended = await reconcile("--fix")

    assert ended.code == 2
    assert any("pass --yes" in line for line in ended.problems)
    assert await state(db) == before


@pytest.mark.parametrize("odd", ["../../../bucket", "./x.jpg", "a/../x.jpg"])
async def test_a_path_that_no_url_leads_to(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile, odd: str
) -> None:
    """It is named and left alone, and the others are gone on with."""
    await add_row(db, f"{NOW}/{odd}")
    await hand.put(ORPHAN)
    hand.age()

    ended = await reconcile("--json", "--fix", "--yes")

    assert (ended.code, ended.problems) == (1, [])
    assert ended.found == {ORPHAN: "orphan", f"images/{NOW}/{odd}": "unknown"}
    (unknown,) = [line for line in ended.lines if line.get("difference") == "unknown"]
    assert unknown["problem"].endswith(f"images/{NOW}/{odd}: it has . or .. between its slashes")
    assert (ended.totals["fixed"], ended.totals["unknown"]) == (1, 1)
    assert await db.fetchval("select state from media_objects") == "stored"
    assert storage.requests["info"] == 2  # for the orphan


@pytest.mark.parametrize("odd", ["a//b.jpg", "a b&c=d?e;f+g.jpg", "a/b.jpg"])
async def test_an_odd_path_is_asked_for_as_it_is(
    db: Any, hand: Hand, reconcile: Reconcile, odd: str
) -> None:
    await add_row(db, f"{NOW}/{odd}")
    await hand.put(f"images/{quote(f'{NOW}/{odd}')}", b"12")
    hand.age()

    ended = await reconcile("--json")

    assert ended.found == {f"images/{NOW}/{odd}": "differs"}


@pytest.mark.parametrize(
    "answer", [{}, {"size": "many"}, {"size": 2**63}, {"name": "another", "size": 1}, "[" * 200_000]
)
async def test_an_answer_that_is_none(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile, answer: Any
) -> None:
    await hand.put(ORPHAN)
    hand.age()
    storage.faults.always("info", Fault(200, answer))

    assert "none of Supabase Storage's" in await nothing_done(db, reconcile, "--fix", "--yes")


@pytest.mark.parametrize("cursor", [{}, {"nextCursor": None}, {"nextCursor": "the same"}])
async def test_a_listing_that_goes_round(
    db: Any, storage: StorageApi, reconcile: Reconcile, cursor: dict[str, str | None]
) -> None:
    """There is always another page, and no way to it: it is given up, not asked for for ever."""
    page: dict[str, object] = {"hasNext": True, "folders": [], "objects": []}
    storage.faults.once("list", Fault(200, page | cursor), times=100)
    storage.faults.once("list", Fault(200, page | {"hasNext": False}))

    problem = await nothing_done(db, reconcile, "--fix", "--yes", "--bucket", "audio")

    assert "gave an answer that is none of Supabase's" in problem
    assert storage.requests["list"] <= 2


async def add_row(db: Any, path: str) -> None:
    """A stored object of a byte, of long ago."""
    await db.execute(
        "insert into media_objects (content_hash, is_public, state, file_size, stored_hash,"
        " stored_size, mime_type, bucket_name, storage_path, stored_at) values ($1, true, 'stored',"
        " 1, $1, 1, 'image/jpeg', 'images', $2, '2026-01-01')",
        sha256(b"x"), path,
    )  # fmt: skip
