"""`pgmedia doctor`: each fault has its line, and no secret is in any."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from poller.doctor.database import DATABASE_CHECKS
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.doctor.conftest import (
    BUCKETS,
    PHONE,
    Doctor,
    left_behind,
    secrets_of,
    skipped,
    wrong,
)
from tests.helpers import pgmedia


@pytest.mark.usefixtures("buckets")
async def test_everything_is_right(
    environment: dict[str, str],
    tmp_path: Path,
    files: Path,
    storage: StorageApi,
    whatsapp: WhatsAppApi,
) -> None:
    """With the rights of a poller alone, and with either kind of key."""
    whatsapp.add_phone_number(PHONE, "Example GmbH")
    for changes in (
        {"WHATSAPP_PHONE_ID": PHONE},
        {"SUPABASE_SERVICE_KEY": storage.secret_key, "WHATSAPP_PHONE_ID": ""},
    ):
        settings: dict[str, Any] = environment | changes
        done = await asyncio.to_thread(pgmedia, "doctor", cwd=tmp_path, **settings)

        lines = done.stdout.splitlines()
        assert (done.returncode, done.stderr) == (0, ""), lines
        assert {line.split()[0] for line in lines} == {"ok", "note"}
        checks = [line[9:].partition(":")[0] for line in lines]
        assert checks == [
            "settings", "database", "role", "listen", "pg_cron", "schema", "pollers",
            "public URLs", "whatsapp", "storage", "storage key",
            *(check for name in BUCKETS for check in (f"bucket {name}", f"round trip in {name}")),
        ]  # fmt: skip
        assert not [one for one in secrets_of(settings) if one in done.stdout]
    assert left_behind(files) == []
    assert sum(storage.uploads.values()) == sum(storage.removed.values()) == 2 * len(BUCKETS)
    assert all(path.split("/")[1] == "doctor" for path in storage.uploads)


async def test_as_json_with_an_exit_code(environment: dict[str, str], tmp_path: Path) -> None:
    settings: dict[str, Any] = environment | {
        "SUPABASE_SERVICE_KEY": "",
        "PGMEDIA_CONCURRENCY": "x",
    }

    done = await asyncio.to_thread(pgmedia, "doctor", "--json", cwd=tmp_path, **settings)

    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["ok"]) == (1, "", False)
    assert {"state": "wrong", "check": "settings", "text": "SUPABASE_SERVICE_KEY is not set"} in (
        answer["findings"]
    )
    assert any(one["text"].startswith("PGMEDIA_CONCURRENCY: ") for one in answer["findings"])
    assert not [one for one in secrets_of(settings) if one in done.stdout]


async def test_no_settings_at_all(tmp_path: Path) -> None:
    done = await asyncio.to_thread(pgmedia, "doctor", cwd=tmp_path)

    assert done.returncode == 1
    states = [line.split()[0] for line in done.stdout.splitlines()]
    assert states == ["wrong"] * 4 + ["skipped"] * 11


async def test_malformed_settings(doctor: Doctor) -> None:
    found = await doctor(DATABASE_URL="mysql://x", SUPABASE_URL="ftp://x", WHATSAPP_TOKEN="a b")

    assert wrong(found) == {"settings": "DATABASE_URL: must begin with postgresql://"}
    assert {"database", *DATABASE_CHECKS, "whatsapp", "storage", "storage key", "buckets"} == (
        skipped(found)
    )
