"""Settings: where they come from, what is refused and how, and that no secret is ever shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from poller.config import Settings, SettingsError, examine_settings, settings_table
from tests.helpers import pgmedia
from tests.write_settings import documented, markdown_table

URL = "postgresql://user:password@localhost/database"
NEEDED_BY_POLL = {
    "DATABASE_URL": URL,
    "SUPABASE_URL": "https://x.supabase.co",
    "SUPABASE_SERVICE_KEY": "service-key",
    "WHATSAPP_TOKEN": "whatsapp-token",
}
SECRETS = ["service-key", "whatsapp-token", "password"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, _, _ in settings_table():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def problems(monkeypatch: pytest.MonkeyPatch, *needed: str, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(*needed)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value.problems


def test_every_missing_setting_is_named_at_once(tmp_path: Path) -> None:
    done = pgmedia("poll", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "pgmedia: DATABASE_URL is not set",
        "pgmedia: SUPABASE_URL is not set",
        "pgmedia: SUPABASE_SERVICE_KEY is not set",
        "pgmedia: WHATSAPP_TOKEN is not set",
    ]


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (["migrate", "--yes"], ["DATABASE_URL"]),
        (["buckets", "--yes"], ["DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY"]),
        (["poll", "--drain"], list(NEEDED_BY_POLL)),
    ],
    ids=lambda value: value[0],
)
def test_a_command_needs_only_its_own(
    tmp_path: Path, command: list[str], missing: list[str]
) -> None:
    done = pgmedia(*command, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"pgmedia: {name} is not set" for name in missing]


def test_every_malformed_setting_is_named_at_once(tmp_path: Path) -> None:
    done = pgmedia(
        "poll",
        cwd=tmp_path,
        DATABASE_URL="mysql://user:password@localhost/db",
        SUPABASE_URL="x.supabase.co",
        SUPABASE_SERVICE_KEY="service-key with words",
        PGMEDIA_CONCURRENCY="0",
        PGMEDIA_POLL_SECONDS="often",
        PGMEDIA_SPOOL_MEMORY_BYTES="-1",
        PGMEDIA_TIMEOUT_SECONDS="0",
    )

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "pgmedia: DATABASE_URL: must begin with postgresql://",
        "pgmedia: SUPABASE_URL: must be a URL that begins with https:// (or http://)",
        "pgmedia: SUPABASE_SERVICE_KEY: must be one word of ASCII characters",
        "pgmedia: WHATSAPP_TOKEN is not set",
        "pgmedia: PGMEDIA_CONCURRENCY: input should be greater than or equal to 1",
        "pgmedia: PGMEDIA_POLL_SECONDS: input should be a valid number, unable to parse string as a"
        " number",
        "pgmedia: PGMEDIA_SPOOL_MEMORY_BYTES: input should be greater than or equal to 0",
        "pgmedia: PGMEDIA_TIMEOUT_SECONDS: input should be greater than 0",
    ]


@pytest.mark.parametrize(
    "url",
    ["x", "ftp://x", "https://", "https://[::1", "https://x:port", "https://user:hunter2@x",
     "https://x/?key=hunter2", "https://x/#hunter2"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["SUPABASE_URL", "WHATSAPP_API_URL"])
def test_a_malformed_url(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    (problem,) = problems(monkeypatch, DATABASE_URL=URL, **{name: url})

    assert problem.startswith(f"{name}: must be a URL")
    assert "hunter" not in problem


def test_a_supabase_url_has_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(monkeypatch, DATABASE_URL=URL, SUPABASE_URL="https://x.co/storage/v1")

    assert found == ["SUPABASE_URL: must be the URL of the project alone, without a path"]


def test_a_key_with_a_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("WHATSAPP_TOKEN", " whatsapp-token\n")
    monkeypatch.setenv("SUPABASE_URL", "https://x.supabase.co/ ")

    settings = Settings.from_env("whatsapp_token")

    assert settings.whatsapp_token is not None
    assert settings.whatsapp_token.get_secret_value() == "whatsapp-token"
    assert settings.supabase_url == "https://x.supabase.co"


@pytest.mark.parametrize("token", ["two words", "two\nlines", "t\u00f6ken", "\u2026"])
def test_a_key_that_fits_no_header(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    found = problems(monkeypatch, DATABASE_URL=URL, WHATSAPP_TOKEN=token)

    assert found == ["WHATSAPP_TOKEN: must be one word of ASCII characters"]


def test_the_environment_goes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["# mine", f'DATABASE_URL="{URL}"', "PGMEDIA_CONCURRENCY=3", "PGMEDIA_GRACE_SECONDS=7"]
    (tmp_path / ".env").write_text("\n".join([*lines, "SOMETHING_ELSE=1", "WHATSAPP_PHONE_ID="]))
    monkeypatch.setenv("PGMEDIA_CONCURRENCY", "5")

    settings = Settings.from_env()

    assert settings.database_url.get_secret_value() == URL
    assert (settings.pgmedia_concurrency, settings.pgmedia_grace_seconds) == (5, 7.0)
    assert settings.whatsapp_phone_id is None


@pytest.mark.parametrize("where", ["environment", "file"])
def test_an_empty_value_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    names = ["DATABASE_URL", "WHATSAPP_TOKEN", "PGMEDIA_CONCURRENCY", "SUPABASE_URL"]
    if where == "file":
        (tmp_path / ".env").write_text("".join(f"{name}=\n" for name in names))
    else:
        for name in names:
            monkeypatch.setenv(name, "")

    found = problems(monkeypatch, "whatsapp_token")

    assert found == ["DATABASE_URL is not set", "WHATSAPP_TOKEN is not set"]


def test_an_empty_value_does_not_hide_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={URL}\n")
    monkeypatch.setenv("DATABASE_URL", "")

    assert Settings.from_env().database_url.get_secret_value() == URL


def test_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in NEEDED_BY_POLL.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_env("supabase_url", "supabase_service_key", "whatsapp_token")

    logging.getLogger("test").warning("%s %r %s", settings, settings, settings.model_dump())

    shown = caplog.text + repr(settings) + str(settings) + settings.model_dump_json()
    assert "https://x.supabase.co" in shown
    assert not [secret for secret in SECRETS if secret in shown]


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    settings = Settings.from_env()

    with pytest.raises(ValueError, match="frozen"):
        settings.pgmedia_concurrency = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_pollers_have_different_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)

    assert Settings.from_env().pgmedia_poller_name != Settings.from_env().pgmedia_poller_name


def test_settings_are_read_as_far_as_they_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SUPABASE_URL=ftp://x\nWHATSAPP_TOKEN=of-the-file\n")
    monkeypatch.setenv("PGMEDIA_CONCURRENCY", "many")
    monkeypatch.setenv("PGMEDIA_POLL_SECONDS", "2")

    settings, problems = examine_settings()

    assert list(problems) == ["database_url", "supabase_url", "pgmedia_concurrency"]
    assert problems["database_url"] == "DATABASE_URL is not set"
    assert (settings.supabase_url, settings.pgmedia_concurrency) == (None, 16)
    assert settings.pgmedia_poll_seconds == 2
    assert settings.whatsapp_token is not None
    assert settings.whatsapp_token.get_secret_value() == "of-the-file"
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("PGMEDIA_CONCURRENCY", "3")
    monkeypatch.setenv("SUPABASE_URL", "http://localhost")
    settings, problems = examine_settings()
    assert (settings.pgmedia_concurrency, problems) == (3, {})


def test_the_readme_has_every_setting() -> None:
    assert documented() == markdown_table(), "run python -m tests.write_settings"


def test_help_shows_every_setting(tmp_path: Path) -> None:
    done = pgmedia("--help", cwd=tmp_path)

    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    for name, default, meaning in settings_table():
        assert (f"{name} [{default}]" if default else name) in shown
        assert meaning in shown
