"""What becomes of what a command prints: nobody reads on, no room, no characters for it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from poller import cli
from tests.helpers import claim, fail, queue_media

Redirected = Callable[..., Awaitable[tuple[int, str, str]]]
PRINTING = [["status"], ["report", "-o", "-"], ["queue", "--missing", "--yes"], ["--help"]]
SPOKEN = "Файл не найден €"


@pytest.fixture
def redirected(operator: str, tmp_path: Path) -> Redirected:
    """Run a command as a shell does, with redirections; its exit code and both outputs."""

    async def run(
        redirections: str, *arguments: str, stdout: int = subprocess.PIPE, **changes: str
    ) -> tuple[int, str, str]:
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", f'exec "$0" -m poller "$@" {redirections}', sys.executable, *arguments],
            env={"PATH": os.environ["PATH"], "DATABASE_URL": operator, **changes},
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
async def test_who_reads_has_read_enough(redirected: Redirected, command: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    code, _, problems = await redirected("", *command, stdout=theirs)
    os.close(theirs)

    assert (code, problems) == (141, "")


@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
@pytest.mark.parametrize(
    ("redirection", "why"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
async def test_output_that_takes_nothing(
    redirected: Redirected, command: list[str], redirection: str, why: str
) -> None:
    code, _, problems = await redirected(redirection, *command)

    assert (code, problems) == (1, f"pgmedia: cannot write to standard output: {why}\n")


async def test_closed_streams_that_it_can_do_without(redirected: Redirected) -> None:
    code, said, _ = await redirected("2>&-", "status")
    assert code == 0
    assert said.startswith("to do ")
    code, _, problems = await redirected("<&-", "pause", "storage")
    assert code == 2
    assert "nobody can answer here" in problems


async def test_an_encoding_without_the_characters(db: Any, redirected: Redirected) -> None:
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code="100", text=SPOKEN)

    for command in (["status"], ["show", str(media)]):
        code, said, problems = await redirected("", *command, PYTHONIOENCODING="ascii")
        assert (code, problems) == (0, "")
        assert "???? ?? ?????? ?" in said
    _, said, _ = await redirected("", "show", str(media), "--json", PYTHONIOENCODING="ascii")
    assert SPOKEN in json.loads(said)["status"]["error_text"]
    assert SPOKEN in (await redirected("", "show", str(media), PYTHONIOENCODING="utf-8"))[1]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("/dev/full", "No space left on device"),
        (".", "Is a directory"),
        ("nowhere/report.html", "No such file or directory"),
    ],
)
async def test_a_report_that_cannot_be_written(redirected: Redirected, file: str, why: str) -> None:
    code, said, problems = await redirected("", "report", "-o", file)

    assert (code, said) == (1, "")
    assert problems == f"pgmedia: cannot write {file}: {why}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "a file: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x.html"), "x.html: Permission denied"),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"),
            "cannot reach the database: ConnectionRefusedError: [Errno 111] Connect call failed",
        ),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0)"),
            "cannot reach the database: OSError: Multiple exceptions: [Errno 111]"
            " Connect call failed ('::1', 1, 0, 0)",
        ),
    ],
    ids=["full", "named", "refused", "refused by several"],
)
def test_only_the_network_is_about_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, line: str
) -> None:
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli, "app", failing)
    with pytest.raises(SystemExit, match="1"):
        cli.run()
    assert capsys.readouterr().err == f"pgmedia: {line}\n"
