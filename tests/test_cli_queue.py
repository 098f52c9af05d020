"""`pgmedia queue`: one attachment, or what messages speak of and nobody has queued."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from poller.cli import progress
from poller.figures import Pace
from tests.helpers import add_message, everything
from tests.test_cli_operate import Run, run
from tests.webhook.payloads import message
from tests.webhook.test_queue_missing_media import add, recent

__all__ = ["run"]


async def test_one_is_queued(db: Any, run: Run) -> None:
    message_id = await add_message(db)

    tried = await run("queue", str(message_id), "4711", "--dry-run")
    assert tried == (0, ["it would be queued"], [])
    assert await db.fetchval("select count(*) from media") == 0
    code, said, problems = await run(
        "queue", str(message_id), "4711", "--priority", "2", "--yes", "--json"
    )

    row = await db.fetchrow("select id, priority from media_processing_queue")
    assert (code, problems) == (0, [])
    assert json.loads(said[0]) == {"media_id": str(row["id"]), "dry_run": False}
    assert row["priority"] == 2
    assert await run("queue", str(message_id), "4711", "--yes") == (
        0,
        [f"media {row['id']}: queued"],
        [],
    )


async def test_what_is_missing_is_queued(db: Any, run: Run) -> None:
    await add(db, *[recent() for _ in range(7)], *[recent("text") for _ in range(5)], message())
    before = await everything(db)

    tried = await run("queue", "--missing", "--dry-run")

    assert tried == (
        0,
        [
            "7 attachments would be queued",
            "1 attachment would fail as media_expired: WhatsApp keeps them no longer",
        ],
        [],
    )
    assert await everything(db) == before
    code, said, _ = await run("queue", "--missing", "--yes", "--limit", "3", "--since", "1d")
    assert (code, said) == (0, ["3 attachments queued"])
    code, said, _ = await run("queue", "--missing", "--yes", "--json")
    assert json.loads(said[0]) == {
        "queued": 4, "failed": 0, "expired": 1, "deleted": 0, "unusable": 0, "dry_run": False,
    }  # fmt: skip
    assert await run("queue", "--missing", "--yes") == (0, ["0 attachments queued"], [])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--missing"], 2, "nobody can answer here: pass --yes, or --dry-run to try it"),
        ([], 2, "pass MESSAGE_ID and WHATSAPP_MEDIA_ID, or --missing"),
        ([str(uuid4()), "4711", "--missing"], 2, "--missing goes without a message"),
        ([str(uuid4()), "4711", "--limit", "5"], 2, "--since and --limit go with --missing"),
        (["4711", "4711"], 2, "'4711' is no UUID"),
        ([str(uuid4()), "4711", "--yes"], 1, "does not exist. Insert the row of messages first"),
        ([str(uuid4()), "", "--yes"], 2, "the media id is empty"),
    ],
)
async def test_what_cannot_be_done_is_said(
    run: Run, arguments: list[str], code: int, words: str
) -> None:
    found, said, problems = await run("queue", *arguments)
    assert (found, said) == (code, [])
    assert words in " ".join(" ".join(problems).replace("│", " ").split())


async def test_it_shows_how_far_it_is_on_a_terminal(db: Any, operator: str, tmp_path: Path) -> None:
    await add(db, *[recent() for _ in range(1200)])
    await db.execute("analyze messages")
    ours, theirs = pty.openpty()
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "poller", "queue", "--missing", "--yes"],
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "DATABASE_URL": operator},
        cwd=tmp_path, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, timeout=60, check=True,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 1_000_000).decode()
    os.close(ours)

    assert done.stdout.decode() == "1,200 attachments queued\n"
    assert "1,200 of 1,200" in shown
    assert "messages read" in shown


def test_lines_now_and_then_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with progress.progress("messages read") as report:
        report(10, 20)
        report(20, 20)
        report(5)

    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("10 of 20 messages read, ")
    assert first.endswith(" left")
    assert second.startswith("20 of 20 messages read, ")
    assert not second.endswith(" left")
    assert third.startswith("5 messages read, ")


def test_a_pace_begins_with_nothing() -> None:
    assert Pace().words(0, 10, "files") == "0 of 10 files, 0/s"
