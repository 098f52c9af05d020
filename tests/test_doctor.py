"""`pgmedia doctor`: each fault has its line, and no trial file is left."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from poller.doctor import Finding, Findings, examine
from poller.doctor.clock import compare_clocks
from poller.doctor.database import DATABASE_CHECKS
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import (
    Reason,
    bad_gateway,
    gateway_denial,
    internal_error,
    read_only,
)
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import graph_error, rate_limited
from tests.conftest import POLLER_PASSWORD
from tests.helpers import as_user, pgmedia

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
            assert one.check not in found or one.check == "settings"
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


# The database


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
async def test_public_urls_that_lead_elsewhere(
    doctor: Doctor, db: Any, storage: StorageApi
) -> None:
    await db.execute("update media_settings set project_url = 'https://other.supabase.co'")

    found = await doctor()

    assert wrong(found) == {
        "public URLs": f"lead to https://other.supabase.co, not to {storage.url}: run"
        " pgmedia buckets"
    }


# WhatsApp


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (graph_error(10, 403, "(#10) No permission"), "(code 10): give the token the permission"),
        (graph_error(100, 400, "Unsupported get request", 33), "WHATSAPP_PHONE_ID is no number"),
        (rate_limited(), "(code 130429): too many requests; try again later"),
        (Fault(502, "<html>"), "HTTP 502: see WHATSAPP_API_URL, or try again later"),
        (Fault(200, "<html>"), "none of the Graph API: see WHATSAPP_API_URL"),
    ],
)
async def test_a_whatsapp_that_refuses(
    doctor: Doctor, whatsapp: WhatsAppApi, fault: Fault, words: str
) -> None:
    whatsapp.add_phone_number(PHONE, "Example GmbH")
    whatsapp.faults.always("account", fault)

    found = await doctor(WHATSAPP_PHONE_ID=PHONE)

    assert words in wrong(found)["whatsapp"]
    assert len(whatsapp.requests) == 1


@pytest.mark.parametrize("phone", ["", PHONE])
async def test_a_token_that_is_refused(doctor: Doctor, whatsapp: WhatsAppApi, phone: str) -> None:
    whatsapp.add_phone_number(PHONE, "Example GmbH")

    found = await doctor(WHATSAPP_PHONE_ID=phone, WHATSAPP_TOKEN="EAAG-expired")

    assert wrong(found)["whatsapp"] == (
        "Invalid OAuth access token - Cannot parse access token (code 190): put a new token into"
        " WHATSAPP_TOKEN"
    )
    assert len(whatsapp.requests) == 1


async def test_metas_message_quotes_a_malformed_token(
    doctor: Doctor, whatsapp: WhatsAppApi
) -> None:
    refusal = graph_error(190, 400, f"Malformed access token {whatsapp.token}")
    whatsapp.faults.always("account", refusal)

    found = await doctor()

    assert wrong(found)["whatsapp"].startswith("Malformed access token ... (code 190): ")


async def test_a_whatsapp_that_does_not_answer(doctor: Doctor, whatsapp: WhatsAppApi) -> None:
    whatsapp.faults.always("account", Fault.disconnect())

    found = await doctor()

    assert wrong(found)["whatsapp"].endswith(f"see whether {whatsapp.url} can be reached from here")


async def test_a_number_the_token_does_not_see(doctor: Doctor) -> None:
    found = await doctor(WHATSAPP_PHONE_ID="99999")

    assert "WHATSAPP_PHONE_ID is no number that this token may see" in wrong(found)["whatsapp"]


# Storage


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "expired 20"),
        ("anon", "the key of the role anon: SUPABASE_SERVICE_KEY must be"),
        ("publishable", "a publishable key: SUPABASE_SERVICE_KEY must be"),
        ("malformed", "malformed: SUPABASE_SERVICE_KEY must be"),
        ("of another project", "refused (signature verification failed): is it of the project at"),
        ("secret of another project", "refused (Invalid Compact JWS): is it of the project at"),
    ],
)
@pytest.mark.usefixtures("buckets")
async def test_a_key_that_is_not_good(
    doctor: Doctor, storage: StorageApi, kind: str, words: str
) -> None:
    key = {
        "expired": storage.make_key("service_role", expires_in=-60),
        "anon": storage.anon_key,
        "publishable": "sb_publishable_0123456789",
        "malformed": MALFORMED_KEY,
        "of another project": storage.make_key("service_role", secret=OTHER_SECRET),
        "secret of another project": "sb_secret_0123456789",
    }[kind]

    found = await doctor(SUPABASE_SERVICE_KEY=key)

    assert list(wrong(found)) == ["storage key"]
    assert words in wrong(found)["storage key"]
    assert found["storage"].state == "ok"
    assert skipped(found) == {"buckets"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (bad_gateway(), "answered HTTP 502: it is down or paused"),
        (Fault(200, "<html>a page"), "HTTP 200 with what is none of Supabase's; SUPABASE_URL must"),
        (Fault(404, "<html>a page"), "HTTP 404 with what is none of Supabase's; SUPABASE_URL must"),
        (Fault(302, headers={"Location": "/"}), "HTTP 302 with what is none of Supabase's"),
        (Fault(404, {"message": "no Route matched"}), "said: no Route matched (HTTP 404)"),
        (internal_error(), "said: Internal Server Error (HTTP 500)"),
        (Fault.disconnect(), "no answer from "),
        (Fault.stall(), "no answer from "),
    ],
)
async def test_a_storage_that_is_none(
    doctor: Doctor, storage: StorageApi, fault: Fault, words: str
) -> None:
    storage.faults.always("bucket", fault)

    found = await doctor(PGMEDIA_TIMEOUT_SECONDS="0.5")

    assert words in wrong(found)["storage"]
    assert skipped(found) == {"storage key", "buckets"}


async def test_a_storage_that_is_not_there(doctor: Doctor) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    found = await doctor(SUPABASE_URL=url, SUPABASE_SERVICE_KEY=MALFORMED_KEY)

    assert wrong(found)["storage"].startswith(f"no answer from {url}: Connect")
    assert wrong(found)["storage key"].startswith("malformed: ")


async def test_a_gateway_that_refuses_the_key(doctor: Doctor, storage: StorageApi) -> None:
    storage.faults.always("bucket", gateway_denial())

    found = await doctor()

    assert wrong(found)["storage key"].startswith("refused (HTTP 401): is it of the project at")


@pytest.mark.usefixtures("buckets")
async def test_buckets_that_are_not_to_the_policy(
    doctor: Doctor, db: Any, storage: StorageApi
) -> None:
    await db.execute("update media_buckets set file_size_limit = 1000 where bucket_name = 'videos'")
    await db.execute("update media_buckets set bucket_name = 'sounds' where bucket_name = 'audio'")

    found = await doctor()

    assert wrong(found) == {
        "bucket sounds": "it does not exist: run pgmedia buckets",
        "bucket videos": "file_size_limit is 52428800, not 1000: run pgmedia buckets",
    }
    assert skipped(found) == {"round trip in sounds"}
    assert found["round trip in videos"].state == "ok"
    storage.faults.once("bucket", Fault())  # the list
    storage.faults.always("bucket", bad_gateway())
    found = await doctor()
    assert wrong(found)["bucket images"].endswith("answered HTTP 502")
    assert "round trip in images" in skipped(found)


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("upload", read_only(), "upload: The database is currently in read-only mode"),
        ("upload", Reason.TOO_LARGE.fault(), "upload: The object exceeded"),
        ("object", Fault(200, b"other bytes"), "download: other bytes came than were stored"),
        ("object", bad_gateway(), "download: HTTP 502"),
        ("sign", bad_gateway(), "sign a URL: storage at"),
        ("signed", Reason.SIGNED_TOKEN.fault(), "signed URL: "),
        ("public", Fault.disconnect(), "read without a key: "),
    ],
)
@pytest.mark.usefixtures("buckets")
async def test_a_step_that_fails(
    doctor: Doctor, storage: StorageApi, files: Path, route: str, fault: Fault, words: str
) -> None:
    storage.faults.always(route, fault)

    found = await doctor()

    assert set(wrong(found)) == {f"round trip in {name}" for name in BUCKETS}
    assert wrong(found)["round trip in audio"].startswith(words)
    assert left_behind(files) == []


@pytest.mark.usefixtures("buckets")
async def test_an_upload_whose_answer_is_lost(
    doctor: Doctor, storage: StorageApi, files: Path
) -> None:
    storage.faults.once("upload", Fault.disconnect())

    found = await doctor()

    assert list(wrong(found)) == ["round trip in audio"]
    assert sum(storage.uploads.values()) == len(BUCKETS)
    assert left_behind(files) == []


@pytest.mark.parametrize("route", ["public", "object"])
@pytest.mark.usefixtures("buckets")
async def test_a_private_bucket_that_is_open(
    doctor: Doctor, storage: StorageApi, route: str
) -> None:
    if route == "object":
        storage.faults.once("object", Fault())  # the one with a key
    storage.faults.once(route, Fault(200, b"for everybody"))

    found = await doctor()

    assert wrong(found) == {
        "round trip in audio": "read without a key: the file was handed out, though the bucket is"
        " private"
    }


@pytest.mark.parametrize("route", ["remove", "info"])
@pytest.mark.usefixtures("buckets")
async def test_a_file_that_cannot_be_removed(
    doctor: Doctor, storage: StorageApi, files: Path, route: str
) -> None:
    storage.faults.once(route, internal_error() if route == "remove" else Fault(200, {"id": "x"}))

    found = await doctor()

    assert list(wrong(found)) == ["round trip in audio"]
    assert wrong(found)["round trip in audio"].startswith("remove: ")
    assert "; remove the file audio/doctor/" in wrong(found)["round trip in audio"]
    assert len(left_behind(files)) == (1 if route == "remove" else 0)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("buckets")
async def test_a_doctor_that_is_stopped_leaves_no_file(
    environment: dict[str, str],
    storage: StorageApi,
    files: Path,
    tmp_path: Path,
    stop: signal.Signals,
) -> None:
    fault = Fault.stall()
    storage.faults.once("signed", fault)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "doctor",
        env=environment | {"PGMEDIA_TIMEOUT_SECONDS": "60"}, cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    await asyncio.wait_for(fault.reached.wait(), 30)
    assert len(left_behind(files)) == 1
    assert process.stdout
    await asyncio.wait_for(process.stdout.readuntil(b"ok       bucket audio: "), 30)  # meanwhile

    process.send_signal(stop)

    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 128 + stop
    assert b"Traceback" not in output
    assert left_behind(files) == []


# Clocks


@pytest.mark.usefixtures("buckets")
async def test_a_storage_with_another_clock(doctor: Doctor, storage: StorageApi) -> None:
    storage.faults.once("bucket", Fault(headers={"Date": "Sun, 01 Nov 2015 00:00:00 GMT"}))

    found = await doctor()

    assert found["clock"].state == "note"
    assert " s ahead of storage: keys and signed URLs seem to end" in found["clock"].text
    assert wrong(found) == {}


@pytest.mark.parametrize(("seconds", "said"), [(-61, "61 s behind x"), (61, "61 s ahead of x")])
def test_clocks_that_disagree(seconds: int, said: str) -> None:
    made: list[Finding] = []
    ours = datetime.now(UTC)

    compare_clocks(Findings(made.append), "x", ours - timedelta(seconds=seconds), ours)
    compare_clocks(Findings(made.append), "x", ours - timedelta(seconds=seconds * 0.9), ours)

    (finding,) = made
    assert finding.text.startswith(f"this machine is {said}: ")
