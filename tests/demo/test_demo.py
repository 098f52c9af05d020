"""The demo, run as a person runs it, and the state it leaves."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage_files import METADATA
from tests.demo.conftest import Demo, Start
from tests.helpers import eventually, sha256

MESSAGES = 200


async def check_end_state(demo: Demo, db: Any, messages: int) -> None:
    """Every object has one file, every attachment has an end, and no file is left over."""
    objects = await db.fetch("select * from media_objects")
    files = {
        str(file.relative_to(demo.files)): sha256(file.read_bytes())
        for file in demo.files.rglob("*")
        if file.is_file() and METADATA not in file.parts
    }
    assert files == {
        f"{row['bucket_name']}/{row['storage_path']}": row["content_hash"] for row in objects
    }
    assert {row["state"] for row in objects} == {"stored"}
    keys = [(row["content_hash"], row["is_public"]) for row in objects]
    assert len(set(keys)) == len(keys)
    assert [row for row in objects if row["stored_hash"] != row["content_hash"]] == []

    media = await db.fetch("select * from media")
    assert len(media) == messages
    processed = [row for row in media if row["processed"]]
    failed = [row for row in media if not row["processed"]]
    by_id = {row["id"]: row for row in objects}
    for row in processed:
        held = by_id[row["object_id"]]
        for column in ("content_hash", "bucket_name", "storage_path", "file_size", "mime_type"):
            assert row[column] == held[column]
        assert row["failed_at"] is None
        assert (row["public_url"] is not None) == held["is_public"]
    for row in failed:
        assert row["failed_at"] is not None
        assert row["failure_code"]
        assert row["failure_text"]
        assert row["object_id"] is None
    assert {row["object_id"] for row in processed} == set(by_id)  # no object without a row
    assert len(processed) > len(objects)  # repeats were stored once

    formats = {row["mime_type"] for row in objects}
    assert formats == {sample.mime_type for sample in SAMPLES}
    assert len(formats) == 23
    assert Counter(row["failure_code"] for row in failed) == {
        "too_large": 2,
        "active_content": 2,
        "hash_mismatch": 2,
        "media_expired_or_foreign": 2,
    }
    left = await db.fetch("select status, id from media_processing_queue order by 1")
    assert {row["id"] for row in left} == {row["id"] for row in failed}
    assert {row["status"] for row in left} == {"failed"}
    assert await db.fetchval("select count(*) from media_deletion_queue") == 0
    assert await db.fetchval("select count(*) from media_pollers") == 0


async def test_the_demo_from_begin_to_end(start: Start) -> None:
    demo = await start("--messages", str(MESSAGES), "--keep")
    dsn = await demo.shown(r"psql (\S+)")
    await demo.shown(r"(limit 5;)")
    db: Any = await asyncpg.connect(dsn)
    await check_end_state(demo, db, MESSAGES)
    (data,) = {one.split()[2] for one in demo.processes() if "/postgres -D" in one}
    statements = re.findall(r"^select .*;$", demo.output.read_text(), re.MULTILINE)
    assert len(statements) == 2
    for statement in statements:
        assert await db.fetch(statement)
    db.terminate()

    assert await demo.interrupt() == 0

    assert demo.processes() == []
    assert not Path(data).parent.exists()
    output = demo.output.read_text()
    assert "Traceback" not in output
    assert str(demo.files) in output
    assert not (demo.folder / "sandbox" / ".env").exists()


async def test_its_poller_works_as_media_poller_alone(start: Start) -> None:
    demo = await start("--messages", "2000")
    await eventually(lambda: any(demo.files.rglob("*.jpg")))

    login: Any = await asyncpg.connect(demo.environment_of("poller poll")["DATABASE_URL"])

    roles = await login.fetch(
        "select roleid::regrole::text from pg_auth_members where member = current_user::regrole"
    )
    assert [row[0] for row in roles] == ["media_poller"]
    assert await login.fetchval("select current_setting('is_superuser')") == "off"
    login.terminate()
    assert await demo.interrupt() == 130


async def test_it_ends_by_itself_without_a_terminal(start: Start) -> None:
    first = await start("--messages", "30")
    assert await asyncio.wait_for(first.process.wait(), 60) == 0
    assert first.processes() == []
    names = {file for file in first.files.rglob("*.*") if METADATA not in file.parts}
    assert len(names) >= len(SAMPLES)

    second = await start("--messages", "30")  # in the same folder
    assert await asyncio.wait_for(second.process.wait(), 60) == 0

    assert not names & set(second.files.rglob("*.*"))
    assert "The database stops now" in second.output.read_text()


async def test_a_folder_of_somebody_else_stays_as_it_is(start: Start, tmp_path: Path) -> None:
    mine = {"sandbox/.env": "WHATSAPP_TOKEN=mine", "sandbox/files/holiday.txt": "the sea"}
    for name, text in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    demo = await start("--messages", "30")

    assert await asyncio.wait_for(demo.process.wait(), 60) == 1
    assert "has files that no demo made" in demo.output.read_text()
    assert {name: (tmp_path / name).read_text() for name in mine} == mine


async def test_two_demos_are_not_in_one_folder(start: Start) -> None:
    first = await start("--messages", "30", "--keep")
    await first.shown(r"(limit 5;)")
    files = set(first.files.rglob("*.*"))

    second = await start("--messages", "30")

    assert await asyncio.wait_for(second.process.wait(), 60) == 1
    assert "another demo is in sandbox" in second.output.read_text()
    assert set(first.files.rglob("*.*")) == files
    assert await first.interrupt() == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["initdb", "poller buckets", "poller poll", "at work"])
async def test_an_interruption_leaves_no_process(
    start: Start, moment: str, sent: signal.Signals
) -> None:
    demo = await start("--messages", "2000")
    if moment == "at work":
        await eventually(lambda: any(demo.files.rglob("*.jpg")))
    else:
        await eventually(lambda: any(moment in one for one in demo.processes()))

    demo.process.send_signal(sent)

    assert await asyncio.wait_for(demo.process.wait(), 30) == 128 + sent
    assert demo.processes() == []
    assert "Traceback" not in demo.output.read_text()
    again = await start("--messages", "1")
    assert await asyncio.wait_for(again.process.wait(), 60) == 0


async def test_it_does_not_touch_what_is_configured(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://nobody@127.0.0.1:1/mine\n")

    demo = await start("--messages", "1")

    assert await asyncio.wait_for(demo.process.wait(), 60) == 0
