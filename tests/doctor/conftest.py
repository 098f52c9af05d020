"""`pgmedia doctor` in this process, with these settings changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from poller.doctor import Finding, Findings, examine
from tests.conftest import POLLER_PASSWORD

Doctor = Callable[..., Awaitable[dict[str, Finding]]]
BUCKETS = ("audio", "documents", "images", "videos")
PHONE = "106540352242922"
MALFORMED_KEY = "junk-key-0123456789"
OTHER_SECRET = "another secret of 32 characters or more"


def secrets_of(environment: dict[str, str]) -> list[str]:
    names = ("WHATSAPP_TOKEN", "SUPABASE_SERVICE_KEY")
    return [POLLER_PASSWORD, *(environment[name] for name in names if environment.get(name))]


@pytest.fixture
def doctor(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Doctor:
    """What the doctor finds with these settings changed, by check. No finding shows a secret."""
    monkeypatch.chdir(tmp_path)

    async def run(**changes: str) -> dict[str, Finding]:
        settings = environment | changes
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        made: list[Finding] = []
        await examine(Findings(made.append))
        shown = str(made)
        assert not [secret for secret in secrets_of(settings) if secret in shown], shown
        found: dict[str, Finding] = {}
        for one in made:
            assert one.text.isprintable()
            assert one.check not in found or one.check in ("settings", "pauses", "failures")
            found.setdefault(one.check, one)
        return found

    return run


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    return {check: one.text for check, one in found.items() if one.state == "wrong"}


def skipped(found: dict[str, Finding]) -> set[str]:
    return {check for check, one in found.items() if one.state == "skipped"}


def left_behind(files: Path) -> list[str]:
    """The files in storage."""
    return [
        str(file) for file in files.rglob("*") if file.is_file() and ".metadata" not in file.parts
    ]
