"""`pgmedia doctor` on the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from poller.db import Server, read_server
from poller.doctor import database as doctor_database
from poller.doctor.database import DATABASE_CHECKS
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from tests.conftest import POLLER_PASSWORD
from tests.doctor.conftest import (
    Doctor,
    skipped,
    wrong,
)
from tests.helpers import as_user, claim, fail, queue_media


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
    assert "begin_media_upload; begin_media_uploads; claim_media_deletions" in wrong(client)["role"]


@pytest.mark.usefixtures("buckets")
async def test_what_is_paused_and_who_is_at_work(doctor: Doctor, db: Any) -> None:
    await db.execute("select pause_media_source('storage', 'a house move', '10 minutes')")
    await db.execute("select heartbeat_media_poller('poller-1', '0.1.0', 'listen', 3)")

    found = await doctor()

    assert found["pauses"].state == "note"
    assert found["pauses"].text == (
        "storage is paused, for another 10 min: a house move; pgmedia resume storage ends it"
    )
    assert found["pollers"].text == "1 at work; queue: empty"
    assert wrong(found) == {}


@pytest.mark.usefixtures("buckets")
async def test_a_store_in_trouble_is_wrong_and_says_what_to_do(doctor: Doctor, db: Any) -> None:
    await db.execute("select pause_media_source('whatsapp:1', 'whatsapp_token_refused')")
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code="131052", text="lost")
    await queue_media(db, phone_number_id="1")
    await db.execute("update media_processing_queue set due_at = now() - interval '2 days'")

    found = await doctor()

    assert wrong(found) == {
        "pollers": "no poller is at work: 1 pending, the oldest due for 2 d;"
        " pgmedia poll starts one; its log says what is in its way",
        "pauses": "whatsapp:1 is paused, for another 60 min: WhatsApp refuses the access token:"
        " it has expired or was revoked; put a new token into WHATSAPP_TOKEN and restart the"
        " pollers",
    }
    assert found["failures"].state == "note"
    assert found["failures"].text == (
        "1 file failed: WhatsApp lost the file (media_lost_by_whatsapp);"
        " the sender must send it again"
    )


@pytest.mark.usefixtures("buckets")
async def test_what_the_webhook_refused(doctor: Doctor, db: Any) -> None:
    assert "webhook" not in await doctor()
    await db.execute("select count_webhook_refusal('not_json')")
    await db.execute("select receive_whatsapp_webhook('{}'), receive_whatsapp_webhook('[]')")

    found = await doctor()

    assert found["webhook"].state == "note"
    assert found["webhook"].text == (
        "1 call refused since yesterday: 1 not_json;"
        " 2 calls with errors since yesterday: 2 no_changes"
    )
    assert wrong(found) == {}


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize(
    ("changes", "check", "state", "words"),
    [
        ({"major_version": 14, "version": "14.9"}, "database", "wrong", "needs 15 or newer"),
        ({"major_version": 19, "version": "19.0"}, "database", "ok", "newer than pgmedia knows"),
        ({"pg_cron": "here"}, "pg_cron", "note", "installed"),
        ({"pg_cron": "available"}, "pg_cron", "note", "could be: create extension pg_cron"),
        ({"pg_cron": "absent"}, "pg_cron", "note", "not on this server"),
        ({"clock": datetime(2040, 1, 1, tzinfo=UTC)}, "clock", "note", "behind the database"),
    ],
)
async def test_servers_of_other_kinds(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], check: str,
    state: str, words: str,
) -> None:  # fmt: skip
    """As this server would be, were it another one."""

    async def read_another(dsn: str) -> Server:
        return replace(await read_server(dsn), **changes)

    monkeypatch.setattr(doctor_database, "read_server", read_another)

    found = await doctor()

    assert found[check].state == state
    assert words in found[check].text
    assert list(wrong(found)) == (["database"] if state == "wrong" else [])


@pytest.mark.usefixtures("buckets")
async def test_functions_that_fail(doctor: Doctor, db: Any) -> None:
    """As on a server that is short of something: it is said, and the rest is gone on with."""
    for name, answers in (
        ("describe_media_schema", "setof text"), ("get_media_storage_stats", "json"),
        ("get_media_project_url", "text"),
    ):  # fmt: skip
        await db.execute(
            f"create or replace function {name}() returns {answers} language plpgsql"
            " security definer as $$ begin raise exception 'out of paper'; end $$"
        )

    found = await doctor()

    assert wrong(found) == {"schema": "the database refused: out of paper"}
    assert skipped(found) == {"pollers", "public URLs", "buckets"}


async def test_no_project_to_compare_with(doctor: Doctor) -> None:
    found = await doctor(SUPABASE_URL="")

    assert wrong(found)["settings"] == "SUPABASE_URL is not set"
    assert {"public URLs", "storage", "storage key", "buckets"} == skipped(found)


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
