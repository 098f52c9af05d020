"""`pgmedia reconcile`, as a process of its own, against real servers and a real poller."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway, internal_error
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import as_user, events, eventually, everything, pgmedia, queue_media, sha256
from tests.helpers import status as media_status

LONG_AGO = "2026-01-01T12:00:00.000Z"
PASSWORD = "pgmedia-test-password"
NOW = "2026/02"
"""A folder that pgmedia could have made."""
ORPHAN = f"images/{NOW}/0d6b8c1e-58a7-4d8e-9f0b-2b7f3f6d9f01.jpg"
PDF = f"documents/{NOW}/3f0c9f5a-6a0e-4a60-b3c8-0b4f6fd0a9c2.pdf"
AUDIO = f"audio/{NOW}/9a2d7c44-1f53-4c1b-8d57-c0e8a1b2f3d4.mp3"
YOUNG = f"images/{NOW}/5e8f1b7d-2c3a-4f6e-9b0a-7d4c1e2f3a5b.jpg"
LEFT_OVER = (
    "select (select count(*) from media_reconcile_runs), (select count(*) from"
    " media_storage_listing), (select count(*) from media_storage_differences)"
)

Reconcile = Callable[..., Awaitable["Ended"]]


class Ended:
    """A run that has ended: its exit code, and what it said."""

    def __init__(self, code: int, said: str, problems: str) -> None:
        self.code = code
        self.said = said.splitlines()
        self.problems = problems.splitlines()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said]

    @property
    def found(self) -> dict[str, str]:
        """What it found, by file."""
        return self._by_file("difference", without="outcome")

    @property
    def outcomes(self) -> dict[str, str]:
        return self._by_file("outcome")

    @property
    def totals(self) -> dict[str, int]:
        return self.lines[-1]["totals"]

    def _by_file(self, key: str, without: str = "") -> dict[str, str]:
        return {
            f"{line['bucket_name']}/{line['storage_path']}": line[key]
            for line in self.lines
            if key in line and without not in line
        }


@pytest.fixture
async def operator(db: Any, database: str) -> AsyncIterator[dict[str, str]]:
    """The settings that let a process work as an operator, in media_admin alone."""
    name = f"pgmedia_test_operator_{os.getpid()}"
    await db.execute(f"create role {name} login password '{PASSWORD}' in role media_admin")
    yield {"DATABASE_URL": as_user(database, name, PASSWORD)}
    await db.execute(f"drop role {name}")


@pytest.fixture
def reconcile(
    environment: dict[str, str], operator: dict[str, str], tmp_path: Path, buckets: None
) -> Reconcile:
    """Run the command to its end. No line may hold a secret."""
    del buckets

    async def run(*arguments: str, **changes: str) -> Ended:
        settings: dict[str, Any] = environment | operator | changes
        done = await asyncio.to_thread(pgmedia, "reconcile", *arguments, cwd=tmp_path, **settings)
        output = done.stdout + done.stderr
        assert settings["SUPABASE_SERVICE_KEY"] not in output
        assert "Traceback" not in output, output
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


class Hand:
    """Somebody with the service key, who changes storage behind pgmedia's back."""

    def __init__(self, storage: StorageApi, folder: Path) -> None:
        self._storage = storage
        self._rows = folder / ".metadata/rows.sqlite3"

    async def _call(self, method: str, path: str, **arguments: Any) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.request(
                method,
                f"{self._storage.url}/storage/v1/{path}",
                headers={
                    "Authorization": f"Bearer {self._storage.service_key}",
                    **arguments.pop("headers", {}),
                },
                **arguments,
            )
        assert answer.status_code == 200, answer.text

    async def put(self, file: str, content: bytes = b"x", mime_type: str = "image/jpeg") -> None:
        headers = {"Content-Type": mime_type, "x-upsert": "true"}
        await self._call("POST", f"object/{file}", content=content, headers=headers)

    async def remove(self, file: str) -> None:
        bucket, _, path = file.partition("/")
        await self._call("DELETE", f"object/{bucket}", json={"prefixes": [path]})

    async def make_bucket(self, name: str) -> None:
        await self._call("POST", "bucket", json={"name": name})

    def copy(self, file: str, paths: list[str]) -> None:
        """Files like this one at many paths, without the API."""
        bucket, _, path = file.partition("/")
        with closing(sqlite3.connect(self._rows)) as rows, rows:
            rows.executemany(
                "insert into objects select bucket, ?1, json_set(data, '$.name', ?1) from objects"
                " where bucket = ?2 and name = ?3",
                [(one, bucket, path) for one in paths],
            )

    def age(self) -> None:
        """Let all files have been there for long."""
        with closing(sqlite3.connect(self._rows)) as rows, rows:
            rows.execute(
                "update objects set data = json_set(data, '$.created_at', ?1, '$.updated_at', ?1)",
                [LONG_AGO],
            )


@pytest.fixture
def hand(storage: StorageApi, files: Path) -> Hand:
    return Hand(storage, files)


async def age_rows(db: Any) -> None:
    await db.execute("update media_objects set stored_at = stored_at - interval '2 hours'")


async def file_of(db: Any, media: Any) -> str:
    row = await db.fetchrow("select * from media where id = $1 and processed", media)
    return f"{row['bucket_name']}/{row['storage_path']}"


async def drain(start_poller: StartPoller) -> None:
    assert await (await start_poller("--drain")).ended() == 0


async def state(db: Any) -> dict[str, list[str]]:
    """Everything but what pollers say of themselves."""
    return {name: rows for name, rows in (await everything(db)).items() if name != "media_pollers"}


def files_in(folder: Path) -> set[str]:
    """Bucket and path of each, without the stand-in's own."""
    return {str(one.relative_to(folder)) for one in folder.glob("[!.]*/**/*.*")}


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
        "fixed": 0, "expired": 0, "left": 0,
    }  # fmt: skip
    by_kind = {line["storage_path"]: line for line in only_found.lines[:-1]}
    assert by_kind[place["cut"].partition("/")[2]]["file_size"] == len(photos[2]) - 1
    assert by_kind[place["lost"].partition("/")[2]]["attachments"] == 2
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
    assert any("add --yes" in line for line in ended.problems)
    assert await state(db) == before


class Process:
    """`pgmedia reconcile` on a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.said = ""
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            self.said += os.read(self._terminal, 65_536).decode()
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._terminal)

    def write(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


@pytest.fixture
async def on_terminal(
    environment: dict[str, str], operator: dict[str, str], tmp_path: Path, buckets: None
) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    del buckets
    started: list[tuple[Process, int]] = []

    async def start(*arguments: str) -> Process:
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "poller", "reconcile", *arguments,
            env=environment | operator, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path,
        )  # fmt: skip
        os.close(theirs)
        started.append((Process(process, ours), ours))
        return started[-1][0]

    yield start
    for one, ours in started:
        if one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


@pytest.mark.parametrize("answer", ["y", "n", "", "Ctrl-C"])
async def test_on_a_terminal_it_asks(
    db: Any, hand: Hand, on_terminal: Callable[..., Awaitable[Process]], answer: str
) -> None:
    await hand.put(ORPHAN)
    hand.age()
    run = await on_terminal("--fix")
    question = "Remove 1 file and download 0 attachments again? [y/N]"
    await eventually(lambda: question in run.said)
    assert await db.fetch("select * from media_deletion_queue") == []

    if answer == "Ctrl-C":
        run.process.send_signal(signal.SIGINT)
    else:
        run.write(answer)

    assert await run.ended() == {"y": 0, "Ctrl-C": 130}.get(answer, 1)
    removed = await db.fetchval("select count(*) from media_deletion_queue")
    assert removed == (answer == "y")
    assert "1 files listed" in run.said
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_a_run_that_is_stopped(
    db: Any, storage: StorageApi, hand: Hand, reconcile: Reconcile,
    on_terminal: Callable[..., Awaitable[Process]], how: signal.Signals,
) -> None:  # fmt: skip
    await hand.put(ORPHAN)
    hand.age()
    before = await state(db)
    stall = Fault.stall()
    storage.faults.once("info", stall)
    run = await on_terminal("--fix", "--yes")
    await stall.reached.wait()

    run.process.send_signal(how)

    assert await run.ended() == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGKILL:
        assert tuple(await db.fetchrow(LEFT_OVER)) == (1, 1, 1)
        await db.execute("update media_reconcile_runs set seen_at = now() - interval '61 min'")
    else:
        assert await state(db) == before
    stall.released.set()
    ended = await reconcile("--json", "--fix", "--yes")
    assert (ended.code, ended.totals["fixed"]) == (0, 1)
    assert tuple(await db.fetchrow(LEFT_OVER)) == (0, 0, 0)
