"""The commands of operators, each a process of its own, on a real Postgres."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.helpers import (
    as_user,
    claim,
    describe,
    everything,
    fail,
    pgmedia,
    queue_media,
    status,
)

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]
PASSWORD = "pgmedia-test-password"
ID = str(UUID(int=1))


async def login_in(db: Any, role: str) -> str:
    """A user in one role of pgmedia and nothing else; users outlive the test's database."""
    name = f"pgmedia_test_{role}"
    await db.execute(f"""
        do $$ begin
            create role {name} login password '{PASSWORD}' in role {role};
        exception when duplicate_object or unique_violation then null;
        end $$
    """)
    return name


@pytest.fixture
async def run(db: Any, database: str, tmp_path: Path) -> Run:
    """Run a command as an operator, or in another role, with DATABASE_URL alone."""

    async def run_command(*arguments: str, role: str = "media_admin") -> Any:
        dsn = as_user(database, await login_in(db, role), PASSWORD)
        done = await asyncio.to_thread(pgmedia, *arguments, cwd=tmp_path, DATABASE_URL=dsn)
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert "\x1b" not in done.stdout  # no colours when piped
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_command


def unknown(media: UUID) -> str:
    """What is said of an id that no media has."""
    return (
        f"pgmedia: no media with id {media}. queue_media_processing returned the id,"
        " get_media_by_message(message_id) lists those of a message, and pgmedia status shows what"
        " failed last"
    )


async def dead(db: Any, code: str = "100") -> UUID:
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code=code, text="no such media")
    return media


async def test_retry_of_one(db: Any, run: Run) -> None:
    media = await dead(db)

    assert await run("retry", str(media), "--yes") == (0, [f"media {media}: queued again"], [])

    assert (await status(db, media))["status"] == "pending"
    again = await run("retry", str(media), "--yes")
    problem = f"pgmedia: media {media} is pending: neither failed nor cancelled"
    assert again == (1, [], [problem])
    nothing = uuid4()
    code, _, (line,) = await run("retry", str(nothing), "--yes")
    assert (code, line) == (1, unknown(nothing))


async def test_retry_of_what_has_left_the_queue(db: Any, run: Run) -> None:
    media = await dead(db)
    await db.execute("update media_processing_queue set died_at = now() - interval '91 days'")
    await db.execute("select run_media_maintenance()")

    code, _, (line,) = await run("retry", str(media), "--yes")

    assert code == 1
    assert line.startswith(f"pgmedia: media {media} is failed and cannot be queued again")


async def test_retry_of_many(db: Any, run: Run) -> None:
    old, new, other = await dead(db), await dead(db), await dead(db, "131052")
    await db.execute("update media set failed_at = now() - interval '1 day' where id = $1", old)
    before = await everything(db)
    which = ["--failed", "--code", "media_expired_or_foreign", "--since", "2h"]

    assert await run("retry", *which, "--dry-run") == (
        0, ["1 attachment would be queued again"], [],
    )  # fmt: skip
    assert await everything(db) == before
    assert await run("retry", *which, "--yes") == (0, ["1 attachment queued again"], [])

    assert [(await status(db, one))["status"] for one in (old, new, other)] == [
        "failed", "pending", "failed",
    ]  # fmt: skip
    limited = await run("retry", "--failed", "--limit", "1", "--yes")
    assert limited == (0, ["1 attachment queued again; there may be more"], [])
    assert await run("retry", "--failed", "--yes") == (0, ["1 attachment queued again"], [])
    assert await run("retry", "--failed", "--yes") == (0, ["0 attachments queued again"], [])


async def test_many_are_not_retried_unasked(db: Any, run: Run) -> None:
    await dead(db)
    before = await everything(db)

    code, said, problems = await run("retry", "--failed")

    assert (code, said) == (2, [])
    assert "pass --yes" in problems[-1]
    assert await everything(db) == before


@pytest.mark.parametrize(("answer", "code", "after"), [("n\n", 1, "failed"), ("y\n", 0, "pending")])
async def test_on_a_terminal_it_asks(
    db: Any, database: str, tmp_path: Path, answer: str, code: int, after: str
) -> None:
    media = await dead(db)
    ours, theirs = pty.openpty()
    dsn = as_user(database, await login_in(db, "media_admin"), PASSWORD)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "retry", "--failed", stdin=theirs,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": dsn},
    )  # fmt: skip
    os.write(ours, answer.encode())

    _, asked = await asyncio.wait_for(process.communicate(), 30)

    os.close(ours)
    os.close(theirs)
    assert "Queue 1 attachment again? [y/N]" in asked.decode()
    assert process.returncode == code
    assert (await status(db, media))["status"] == after


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"], ["retry", ID, "--failed"], ["retry", ID, "--since", "2h", "--yes"],
        ["retry", ID, "--limit", "5", "--yes"], ["retry", ID, "--code", "x", "--yes"],
        ["status", "--every", "5s"],
        ["report", "--json", "-o", "x.html"], ["queue", "--missing", "--priority", "1", "--yes"],
        ["queue", ID, "4711", "--since", "0s", "--yes"],
        ["retry", "--failed", "--since", "2 hours"], ["retry", "--failed", "--limit", "0"],
        ["retry", "not-an-id"], ["cancel", "not-an-id"], ["cancel"], ["show", "12"],
        ["pause", "storage", "--for", "soon"], ["resume"],
    ],
)  # fmt: skip
async def test_a_wrong_argument(db: Any, run: Run, arguments: list[str]) -> None:
    await dead(db)
    before = await everything(db)

    code, said, problems = await run(*arguments)

    assert (code, said) == (2, [])
    assert [line for line in problems if line.startswith("Error: ")]
    assert await everything(db) == before


async def test_cancel(db: Any, run: Run) -> None:
    media = await queue_media(db)
    held = await claim(db)

    assert await run("cancel", str(media), "--yes") == (0, [f"media {media}: cancelled"], [])

    assert (await status(db, media))["status"] == "cancelled"
    assert await describe_is_refused(db, media, held[media])
    again = await run("cancel", str(media), "--yes")
    assert again == (1, [], [f"pgmedia: media {media} is cancelled: there is no work to stop"])


async def describe_is_refused(db: Any, media: UUID, token: int) -> bool:
    try:
        await describe(db, media, token)
    except Exception as error:  # noqa: BLE001 - asked for by its code
        return getattr(error, "sqlstate", None) == "MD001"
    return False


async def test_pause_and_resume(db: Any, run: Run) -> None:
    await queue_media(db, phone_number_id="1")

    code, (line,), problems = await run(
        "pause", "whatsapp:1", "--yes", "--reason", "moving house", "--for", "10m"
    )

    row = await db.fetchrow("select *, until - now() as left from media_pauses")
    assert (code, problems) == (0, [])
    assert line == f"whatsapp:1 is paused until {row['until']:%Y-%m-%d %H:%M:%S} UTC"
    assert row["reason"] == "moving house"
    assert 590 < row["left"].total_seconds() <= 600
    assert await claim(db) == {}
    resumed: tuple[int, list[str], list[str]] = (
        0,
        ["whatsapp:1 is resumed; one job goes first"],
        [],
    )
    assert await run("resume", "whatsapp:1", "--yes") == resumed
    ((media, token),) = (await claim(db)).items()
    assert await run("resume", "whatsapp:1", "--yes") == resumed  # it has still to prove itself
    await describe(db, media, token)
    assert await run("resume", "whatsapp:1", "--yes") == (
        1,
        [],
        ["pgmedia: whatsapp:1 was not paused: pgmedia status shows what is"],
    )


async def test_what_the_function_refuses(run: Run) -> None:
    code, said, (line,) = await run("pause", "somewhere", "--yes")
    assert (code, said) == (2, [])
    assert line == (
        "pgmedia: unknown source 'somewhere'."
        " Use storage, whatsapp:<phone number id> or poller:<name>."
    )
    code, said, (line,) = await run("pause", "storage", "--yes", "--for", "0s")
    assert (code, said) == (2, [])
    assert line.startswith("pgmedia: a pause of 00:00:00 is none. Use an interval above zero")


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", ID, "--yes"], ["retry", "--failed", "--yes"], ["cancel", ID, "--yes"],
        ["pause", "storage", "--yes"], ["resume", "storage", "--yes"],
    ],
)  # fmt: skip
async def test_clients_are_no_operators(run: Run, arguments: list[str]) -> None:
    code, said, (line,) = await run(*arguments, role="media_client")

    assert (code, said) == (1, [])
    assert "the database refused: permission denied for function" in line
    assert line.endswith("grant media_admin to pgmedia_test_media_client")


@pytest.mark.parametrize(
    "command",
    ["show", "url", "retry --yes", "cancel --yes", "hold --reason x --yes", "release --yes",
     "delete --yes", "cancel --dry-run", "release --dry-run"],
)  # fmt: skip
async def test_an_id_that_nothing_has(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / ".env").write_text("SUPABASE_URL=https://x.supabase.co\nSUPABASE_SERVICE_KEY=x\n")
    name, *options = command.split()

    code, said, (line,) = await run(name, ID, *options)

    assert (code, said) == (1, [])
    assert line.startswith(unknown(UUID(ID))[:100])
