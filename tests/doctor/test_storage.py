"""`pgmedia doctor` on Storage: its address, its keys and its buckets."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from poller.doctor import Finding, Findings
from poller.doctor.clock import compare_clocks
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
from tests.doctor.conftest import (
    BUCKETS,
    MALFORMED_KEY,
    OTHER_SECRET,
    Doctor,
    left_behind,
    skipped,
    wrong,
)


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

    found = await doctor(PGMEDIA_TIMEOUT_SECONDS="2")

    assert words in wrong(found)["storage"]
    assert skipped(found) == {"storage key", "buckets"}


async def test_a_storage_that_is_not_there(doctor: Doctor) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    found = await doctor(SUPABASE_URL=url, SUPABASE_SERVICE_KEY=MALFORMED_KEY)

    assert wrong(found)["storage"].startswith(f"no answer from {url}: ClientConnectorError: ")
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
    await db.execute("delete from media_formats where media_type = 'video'")
    found = await doctor()
    assert wrong(found)["bucket videos"].startswith("no format leads to it: add a row")
    assert skipped(found) == {"round trip in sounds", "round trip in videos"}
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
        ("public", bad_gateway(), "read without a key: HTTP 502 is no refusal of Storage's"),
        ("public", Fault(404, "<html>"), "read without a key: HTTP 404 is no refusal of Storage's"),
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
