"""`pgmedia doctor` with the key that everybody may have, within a time, and after killed runs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from tests.doctor.conftest import OTHER_SECRET, Doctor, left_behind, wrong
from tests.helpers import pgmedia


@pytest.mark.usefixtures("buckets")
async def test_the_anon_key_opens_nothing(doctor: Doctor, storage: StorageApi, files: Path) -> None:
    found = await doctor(SUPABASE_ANON_KEY=storage.anon_key)

    assert wrong(found) == {}
    assert found["anon key"].text == "accepted"
    read = "nothing without a key nor with that of anon, and removed"
    assert found["round trip in audio"].text.endswith(read)
    assert left_behind(files) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("service", "SUPABASE_ANON_KEY is the key of the role service_role: it must be"),
        ("secret", "SUPABASE_ANON_KEY is a secret key: it must be"),
        ("malformed", "SUPABASE_ANON_KEY is malformed: it must be"),
        ("foreign", "SUPABASE_ANON_KEY is refused (signature verification failed): is it of"),
    ],
)
@pytest.mark.usefixtures("buckets")
async def test_an_anon_key_whose_refusal_would_prove_nothing(
    doctor: Doctor, storage: StorageApi, kind: str, words: str
) -> None:
    key = {
        "service": storage.make_key("service_role"),
        "secret": "sb_secret_0123456789",
        "malformed": "junk",
        "foreign": storage.make_key("anon", secret=OTHER_SECRET),
    }[kind]

    found = await doctor(SUPABASE_ANON_KEY=key)

    assert list(wrong(found)) == ["anon key"]
    assert words in wrong(found)["anon key"]


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("upload", Fault(200, {"Key": "x"}), "upload with the anon key: the file was stored"),
        ("upload", Fault(502), "upload with the anon key: HTTP 502 is no refusal of Storage's"),
    ],
)
@pytest.mark.usefixtures("buckets")
async def test_a_storage_that_takes_files_of_anon(
    doctor: Doctor, storage: StorageApi, files: Path, route: str, fault: Fault, words: str
) -> None:
    storage.faults.once(route, Fault())  # the doctor's own
    storage.faults.once(route, fault)

    found = await doctor(SUPABASE_ANON_KEY=storage.anon_key)

    assert wrong(found)["round trip in audio"].startswith(words)
    assert left_behind(files) == []


@pytest.mark.usefixtures("buckets")
async def test_an_anon_key_that_could_not_be_tried(doctor: Doctor, storage: StorageApi) -> None:
    storage.faults.once("bucket", Fault())  # the list for the service key
    storage.faults.once("bucket", Fault.disconnect(after=1))

    found = await doctor(SUPABASE_ANON_KEY=storage.anon_key)

    assert wrong(found)["anon key"].startswith("SUPABASE_ANON_KEY is not tried: ")
    assert "nor with that of anon" not in found["round trip in audio"].text


@pytest.mark.usefixtures("buckets")
async def test_all_of_it_within_a_time(
    environment: dict[str, str], storage: StorageApi, files: Path, tmp_path: Path
) -> None:
    storage.faults.always("signed", Fault.stall())
    settings = environment | {"PGMEDIA_TIMEOUT_SECONDS": "60"}

    done = await asyncio.to_thread(
        pgmedia, "doctor", "--within", "3s", cwd=tmp_path, seconds=60, **settings
    )

    last = done.stdout.splitlines()[-1]
    assert (done.returncode, done.stderr) == (1, "")
    assert last.startswith("wrong    time: not done in 3 s, as there are slow answers")
    assert left_behind(files) == []


def age_files(files: Path) -> None:
    """Let all files have been there for long."""
    with closing(sqlite3.connect(files / ".metadata/rows.sqlite3")) as rows, rows:
        rows.execute(
            "update objects set data = json_set(data, '$.created_at', '2026-01-01T12:00:00.000Z')"
        )


@pytest.mark.usefixtures("buckets")
async def test_files_that_killed_runs_left_are_removed(
    doctor: Doctor, storage: StorageApi, files: Path
) -> None:
    names = ["doctor/0d6b8c1e-58a7-4d8e-9f0b-2b7f3f6d9f01", "doctor/of-somebody-else"]
    async with httpx.AsyncClient() as client:
        for name in names:
            answer = await client.post(
                f"{storage.url}/storage/v1/object/audio/{name}",
                content=b"x",
                headers={
                    "Authorization": f"Bearer {storage.service_key}",
                    "Content-Type": "audio/aac",
                },
            )
            assert answer.is_success
    young = await doctor()
    assert not [check for check in young if check.startswith("old trials")]
    age_files(files)

    found = await doctor()

    assert wrong(found) == {}
    assert found["old trials in audio"].text == "1 removed"
    assert [Path(one).name for one in left_behind(files)] == ["of-somebody-else"]
