"""What all commands have in common: --json, --dry-run, --yes, and questions on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from poller.cli.app import SECTIONS, app
from tests.helpers import add_message, everything, pgmedia, queue_media, sql, store
from tests.test_cli_operate import Run, dead, run

__all__ = ["run"]

CHANGING = {
    "buckets", "cancel", "cleanup", "delete", "hold", "migrate", "pause", "queue", "release",
    "resume", "retry", "schedule", "settings",
}  # fmt: skip
WITHOUT_A_TABLE = {"demo", "migrate", "poll", "webhook"}
SCOPE = "whatsapp:4711"
EVERY = [
    ["cancel", "PENDING"], ["retry", "DEAD"], ["retry", "--failed"],
    ["hold", "STORED", "--reason", "x"],
    ["release", "HELD"], ["delete", "STORED"], ["pause", SCOPE], ["resume", "storage"],
    ["cleanup", "1"], ["queue", "MESSAGE", "4711"], ["queue", "--missing"],
    ["schedule", "--cleanup-days", "3"], ["schedule", "--off"], ["settings", "lease", "2 minutes"],
    ["settings", "lease", "--reset"],
]  # fmt: skip


def options(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    return {name for one in group.commands[command].params for name in one.opts}


def test_every_command_has_what_it_should() -> None:
    group: Any = typer.main.get_command(app)
    for command in group.commands:
        if command in CHANGING:
            assert {"--yes", "--dry-run"} <= options(command), command
        if command not in WITHOUT_A_TABLE:
            assert "--json" in options(command), command
    assert set(group.commands) >= CHANGING | WITHOUT_A_TABLE
    assert "Exit codes: 0 done;" in str(group.help)


def test_help_has_every_command_once_and_whole_sentences(tmp_path: Path) -> None:
    group: Any = typer.main.get_command(app)

    said = pgmedia("--help", cwd=tmp_path).stdout

    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(group.commands)
    for section in SECTIONS:
        assert f"\n{section}:\n" in said
    assert "..." not in said.partition("Options:")[2]
    assert max(map(len, said.splitlines())) <= 80


async def world(db: Any) -> dict[str, str]:
    """An attachment in each state, by its name."""
    held = await store(db, "a" * 64)
    names = {
        "HELD": held,
        "STORED": await queue_media(db, sha256="a" * 64, media_type="image"),
        "DEAD": await dead(db),
        "PENDING": await queue_media(db),
        "MESSAGE": await add_message(db),
    }
    await db.execute("select hold_media($1, 'case 12')", held)
    await db.execute("select pause_media_source('storage')")
    return {name: str(value) for name, value in names.items()}


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
async def test_a_dry_run_changes_nothing_and_the_rest_does(
    db: Any, run: Run, command: list[str]
) -> None:
    names = await world(db)
    if "--reset" in command:
        await db.execute("select set_media_setting('lease', '3 minutes')")
    await db.execute("update messages set sent_at = now() - interval '2 days'")
    await db.execute("update media set message_sent_at = now() - interval '2 days'")
    arguments = [names.get(one, one) for one in command]
    before = await everything(db)

    code, said, problems = await run(*arguments, "--dry-run", "--json")

    assert (code, problems) == (0, [])
    assert json.loads(said[0])["dry_run"] is True
    assert await everything(db) == before
    code, said, problems = await run(*arguments, "--yes", "--json")
    assert (code, problems) == (0, [])
    assert json.loads(said[0])["dry_run"] is False
    if command not in (["queue", "--missing"], ["schedule", "--off"]):
        assert await everything(db) != before


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
async def test_on_a_terminal_it_asks(
    db: Any, operator: str, tmp_path: Path, command: list[str]
) -> None:
    names = await world(db)
    before = await everything(db)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", *[names.get(one, one) for one in command],
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "DATABASE_URL": operator},
        cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"n\n")

    assert await asyncio.wait_for(process.wait(), 30) == 1

    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "[y/N]" in said
    assert "Aborted" in said
    assert await everything(db) == before


async def test_a_dry_run_of_a_migration(empty_database: str, tmp_path: Path) -> None:
    done = pgmedia("migrate", "--dry-run", cwd=tmp_path, DATABASE_URL=empty_database)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "dry run: 0001.create-messages-and-media would be applied"
    assert lines[-1].startswith("dry run: the functions of version ")
    assert sql(empty_database, "select to_regclass('public.media')") == [(None,)]
