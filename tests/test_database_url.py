"""DATABASE_URL: what is of no use is refused and not shown; files that it names must be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poller.config import Settings
from tests.helpers import pgmedia
from tests.test_config import NEEDED_BY_POLL, URL, clean_environment, problems

__all__ = ["clean_environment"]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "postgresql:",
        "postgresql:/user:hunter2@host/db",
        "host=localhost password=hunter2",
        "postgresql://user:hunter2/x@host/db",
        "postgresql://user:hunter2@x@host/db",
        "postgresql://user:hunter2#x@host/db",
        "postgresql://user:1#hunter2@host/db",
        "postgresql://user:1?hunter2@host/db",
        "postgresql://user:hunter2%x@host/db",
        "postgresql://user:hunter2%@host/db",
        "postgresql://user:[hunter2@host/db",
        "postgresql://user:hunter2 x@host/db",
        "postgresql://user:hunter2\nx@host/db",
        "postgresql://user:hunter2\u2100@host/db",
        "postgresql://user:hunter2@host:port/db",
        "postgresql://user:hunter2@[::1/db",
        "postgresql://user:hunter2@host/db?hunter2",
        "postgresql://user:hunter2@host/db/x",
    ],
)
def test_a_malformed_database_url_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    (problem,) = problems(monkeypatch, DATABASE_URL=url)

    assert problem.startswith("DATABASE_URL: ")
    assert "hunter" not in problem


@pytest.mark.parametrize("command", ["status", "poll"])
def test_no_command_shows_a_malformed_database_url(tmp_path: Path, command: str) -> None:
    environment: dict[str, Any] = NEEDED_BY_POLL | {"DATABASE_URL": "postgresql://u:hunter2/x@h/db"}

    done = pgmedia(command, cwd=tmp_path, **environment)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("pgmedia: DATABASE_URL: ")
    assert "hunter" not in line
    assert done.stdout == ""


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgres://localhost",
        "postgresql:///database?host=/var/run/postgresql",
        "postgresql://user@[::1]:5432/database",
        "postgresql://user:p%40ss%2Fword@one:1,two:2/database?sslmode=require",
        "postgresql://postgres.abc:p!$&'()*+,;=:x@aws-0.pooler.supabase.com:6543/postgres",
    ],
)
def test_a_good_database_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert Settings.from_env().database_url.get_secret_value() == url


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_certificate_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    def with_file(file: Path) -> str:
        return f"postgresql://user:hunter2@localhost/db?sslmode=verify-full&{name}={file}"

    gone = tmp_path / "gone.crt"
    (problem,) = problems(monkeypatch, DATABASE_URL=with_file(gone))
    assert problem == (
        f"DATABASE_URL: {name} is {gone}, which cannot be read: No such file or directory"
    )
    gone.write_text("it is there")
    monkeypatch.setenv("DATABASE_URL", with_file(gone))
    assert Settings.from_env()
