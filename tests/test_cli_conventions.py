"""What all commands have in common: --json, --dry-run, --yes, and questions on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from poller import __version__
from poller.cli.app import SECTIONS, app
from tests.docs.cli_page import keys, rows
from tests.helpers import add_message, everything, pgmedia, queue_media, sql, store
from tests.test_cli_operate import Run, dead, run

__all__ = ["run"]

CHANGING = {
    "buckets", "cancel", "cleanup", "delete", "hold", "migrate", "pause", "queue", "reconcile",
    "release", "resume", "retry", "schedule", "settings",
}  # fmt: skip
READING = {"doctor", "report", "show", "status", "url"}
SERVICES = {"demo", "poll", "webhook"}
SCOPE = "whatsapp:4711"
EVERY = [
    ["cancel", "PENDING"], ["retry", "DEAD"], ["retry", "--failed"],
    ["hold", "STORED", "--reason", "x"],
    ["release", "HELD"], ["delete", "STORED"], ["pause", SCOPE], ["resume", "storage"],
    ["cleanup", "1"], ["queue", "MESSAGE", "4711"], ["queue", "--missing"],
    ["schedule", "--cleanup-days", "3"], ["schedule", "--off"], ["settings", "lease", "2 minutes"],
    ["settings", "lease", "--reset"],
]  # fmt: skip
"""What changes something in the database alone."""
WITH_STORAGE = [["buckets"], ["reconcile", "--fix"], ["demo", "--real"]]
VARIANTS = {"--failed", "--missing", "--off"}


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return group.commands


def options(command: str) -> set[str]:
    return {name for one in commands()[command].params for name in one.opts}


def test_it_is_known_of_every_command_what_it_is() -> None:
    assert sorted([*CHANGING, *READING, *SERVICES]) == sorted(commands())
    assert {one[0] for one in [*EVERY, *WITH_STORAGE, ["migrate"]]} >= CHANGING


@pytest.mark.parametrize("command", commands())
def test_every_command_has_what_it_should(command: str) -> None:
    said = rows()[command]
    asks = {"--yes", "--dry-run"} & options(command)
    if command in CHANGING:
        assert asks == {"--yes", "--dry-run"}
        assert said.asks.startswith(("yes", "with "))
    elif command in READING:
        assert not asks
        assert said.asks == ""
    else:
        assert bool(asks) == said.asks.startswith("with ")
        assert asks or said.asks == "a service"
    assert ("--json" in options(command)) == said.as_json == (command not in SERVICES)


@pytest.mark.parametrize("command", commands())
def test_its_help_is_worth_reading(command: str) -> None:
    found = commands()[command]
    assert len(found.help) > 20
    for one in found.params:
        if one.param_type_name == "option" and one.name != "help":
            assert one.help, one.name


def test_the_page_names_no_other_commands() -> None:
    assert set(rows()) == set(commands())
    group: Any = typer.main.get_command(app)
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
    (line,) = said
    assert json.loads(line)["dry_run"] is True
    name = " ".join([command[0], *(word for word in command if word in VARIANTS)])
    assert json.loads(line).keys() == keys("`settings`, changing" if name == "settings" else name)
    assert await everything(db) == before
    code, said, problems = await run(*arguments, "--yes", "--json")
    assert (code, problems) == (0, [])
    assert json.loads(said[0])["dry_run"] is False
    if command not in (["queue", "--missing"], ["schedule", "--off"]):
        assert await everything(db) != before


@pytest.mark.parametrize("command", [*EVERY, *WITH_STORAGE, ["migrate"]], ids=" ".join)
@pytest.mark.parametrize("as_json", [False, True])
async def test_where_nobody_can_answer_it_changes_nothing(
    db: Any, environment: dict[str, str], operator: str, tmp_path: Path, command: list[str],
    as_json: bool,
) -> None:  # fmt: skip
    names = await world(db)
    before = await everything(db)
    arguments = [names.get(one, one) for one in command]
    if as_json and command[0] not in SERVICES:
        arguments.append("--json")
    settings: dict[str, Any] = environment | {"DATABASE_URL": operator}

    done = await asyncio.to_thread(pgmedia, *arguments, cwd=tmp_path, **settings)

    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody can answer here: pass --yes, or --dry-run" in done.stderr
    assert await everything(db) == before


@pytest.mark.parametrize(
    "command", [*EVERY, ["migrate"], ["buckets"], ["demo", "--real"]], ids=" ".join
)
async def test_on_a_terminal_it_asks(
    db: Any, environment: dict[str, str], operator: str, tmp_path: Path, command: list[str]
) -> None:
    names = await world(db)
    before = await everything(db)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", *[names.get(one, one) for one in command],
        env=environment | {"TERM": "dumb", "DATABASE_URL": operator},
        cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"n\n")

    assert await asyncio.wait_for(process.wait(), 30) == 1

    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "[y/N]" in said
    assert "Aborted!" in said
    assert await everything(db) == before


async def test_ctrl_c_at_the_question(db: Any, operator: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "pause", SCOPE,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "DATABASE_URL": operator},
        cwd=tmp_path, stdin=theirs, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    assert process.stderr is not None
    asked = await process.stderr.readuntil(b"[y/N]")
    assert asked.decode() == f"Pause {SCOPE}? [y/N]"

    for _ in range(3):  # one that comes just before the process reads waits for the next
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
            break

    assert process.returncode == 130
    os.close(ours)
    assert await db.fetch("select from media_pauses") == []


async def test_a_demo_on_what_is_yours_says_what_that_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings: dict[str, Any] = environment
    done = await asyncio.to_thread(pgmedia, "demo", "--real", "--dry-run", cwd=tmp_path, **settings)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "Postgres: yours, from DATABASE_URL", "Supabase Storage: yours, from SUPABASE_URL",
    ]  # fmt: skip
    assert not (tmp_path / "sandbox").exists()


async def test_a_migration_for_programs(empty_database: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DATABASE_URL": empty_database}
    tried = pgmedia("migrate", "--dry-run", "--json", cwd=tmp_path, **settings)
    would = json.loads(tried.stdout)
    assert would.keys() == keys("migrate")
    assert (would["applied"][0], would["dry_run"]) == ("0001.create-messages-and-media", True)

    done = pgmedia("migrate", "--yes", "--json", cwd=tmp_path, **settings)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**would, "dry_run": False}
    sql(empty_database, "grant select on public.media to public")
    differs = pgmedia("migrate", "--yes", "--json", cwd=tmp_path, **settings)
    assert differs.returncode == 1, differs.stderr
    assert json.loads(differs.stdout) == {
        "version": __version__, "applied": [], "dry_run": False,
        "differences": ["unexpected: grant select on media to public"],
    }  # fmt: skip


async def test_a_dry_run_of_a_migration(empty_database: str, tmp_path: Path) -> None:
    done = pgmedia("migrate", "--dry-run", cwd=tmp_path, DATABASE_URL=empty_database)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "dry run: 0001.create-messages-and-media would be applied"
    assert lines[-1].startswith("dry run: the functions of version ")
    assert sql(empty_database, "select to_regclass('public.media')") == [(None,)]
