"""`pgmedia doctor` on the database."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from poller.doctor.database import DATABASE_CHECKS
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from tests.conftest import POLLER_PASSWORD
from tests.doctor.conftest import (
    Doctor,
    skipped,
    wrong,
)
from tests.helpers import as_user


async def test_a_database_that_is_away(doctor: Doctor) -> None:
    dsn = f"postgresql://user:{POLLER_PASSWORD}@127.0.0.1:{free_port()}/database"

    found = await doctor(DATABASE_URL=dsn)

    assert wrong(found)["database"].startswith("no connection: ConnectionRefusedError: ")
    assert wrong(found)["database"].endswith("see DATABASE_URL")
    assert skipped(found) == {*DATABASE_CHECKS, "buckets"}
    assert (found["whatsapp"].state, found["storage key"].state) == ("ok", "ok")


async def test_a_login_that_is_refused(doctor: Doctor, database: str) -> None:
    found = await doctor(DATABASE_URL=as_user(database, "nobody_of_that_name", POLLER_PASSWORD))

    assert "the database refused: " in wrong(found)["database"]
    assert "nobody_of_that_name" in wrong(found)["database"]


async def test_a_database_without_the_schema(doctor: Doctor, empty_database: str) -> None:
    found = await doctor(DATABASE_URL=empty_database)

    assert wrong(found) == {
        "schema": "pgmedia's is not there, or an older one: run pgmedia migrate"
    }
    assert {"role", "public URLs", "buckets"} <= skipped(found)
    assert found["database"].state == "ok"


@pytest.mark.usefixtures("buckets")
async def test_a_schema_that_differs(doctor: Doctor, db: Any) -> None:
    await db.execute("drop function retry_media(uuid)")
    await db.execute("drop index media_queue_due_idx")

    found = await doctor()

    assert list(wrong(found)) == ["schema"]
    text = wrong(found)["schema"]
    assert text.startswith("differs from version 0.1.0 in ")
    assert "missing: CREATE INDEX media_queue_due_idx" in text
    assert text.endswith("run pgmedia migrate")
    assert found["round trip in images"].state == "ok"


async def test_a_role_without_rights(doctor: Doctor, db: Any, database: str) -> None:
    name = f"pgmedia_test_{uuid4().hex[:12]}"
    await db.execute(f"create role {name} login password '{POLLER_PASSWORD}'")
    try:
        stranger = await doctor(DATABASE_URL=as_user(database, name, POLLER_PASSWORD))
        await db.execute(f"grant media_client to {name}")
        client = await doctor(DATABASE_URL=as_user(database, name, POLLER_PASSWORD))
    finally:
        await db.execute(f"drop role {name}")

    assert wrong(stranger)["role"].startswith(f"{name} (no role of pgmedia) may not call ")
    assert wrong(stranger)["role"].endswith(f": grant media_poller to {name}")
    assert {"schema", "pollers", "public URLs", "buckets"} <= skipped(stranger)
    assert f"{name} (media_client) may not call" in wrong(client)["role"]
    assert "begin_media_upload; claim_media_deletions" in wrong(client)["role"]


@pytest.mark.usefixtures("buckets")
async def test_what_is_paused_and_who_is_at_work(doctor: Doctor, db: Any) -> None:
    await db.execute("select pause_media_source('storage', 'a house move', '10 minutes')")
    await db.execute("select heartbeat_media_poller('poller-1', '0.1.0', 'listen', 3)")

    found = await doctor()

    assert found["pause"].state == "note"
    assert found["pause"].text.startswith("storage until 20")
    assert "as a house move" in found["pause"].text
    assert found["pollers"].text == "1 at work; queue: empty"
    assert wrong(found) == {}


@pytest.mark.usefixtures("buckets")
async def test_public_urls_that_lead_elsewhere(
    doctor: Doctor, db: Any, storage: StorageApi
) -> None:
    await db.execute("update media_settings set project_url = 'https://other.supabase.co'")

    found = await doctor()

    assert wrong(found) == {
        "public URLs": f"lead to https://other.supabase.co, not to {storage.url}: run"
        " pgmedia buckets"
    }
