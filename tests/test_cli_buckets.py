"""`pgmedia buckets`, as a process of its own, on a storage that works and on some that do not."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import Reason, bad_gateway, gateway_denial
from tests.command import Run, run
from tests.helpers import pgmedia, sha256, store

__all__ = ["run"]


async def bucket(storage: StorageApi, name: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{storage.url}/storage/v1/bucket/{name}",
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )
    return json.loads(answer.content)


async def test_buckets_are_made_to_the_policy(run: Run, storage: StorageApi, db: Any) -> None:
    names = ["audio", "documents", "images", "videos"]

    code, said, problems = await run("buckets", "--yes")

    assert (code, problems) == (0, [])
    assert sorted(said[:-1]) == [f"{name}: created; it does not exist" for name in names]
    assert said[-1] == "public URLs: changed; they led nowhere"
    types = await db.fetch("select media_type, mime_type from media_formats")
    for name in names:
        made = await bucket(storage, name)
        kind = name.removesuffix("s")
        assert made["public"] == (name == "images")
        assert made["file_size_limit"] == 52_428_800
        own = {row["mime_type"] for row in types if row["media_type"] == kind}
        assert own <= set(made["allowed_mime_types"])
    assert set((await bucket(storage, "audio"))["allowed_mime_types"]) == {
        row["mime_type"] for row in types if row["media_type"] == "audio"
    }
    assert await db.fetchval("select project_url from media_settings") == storage.url
    code, said, problems = await run("buckets", "--yes")
    assert (code, sorted(said[:-1]), problems) == (0, [f"{name}: right" for name in names], [])
    assert said[-1] == "public URLs: right"
    assert (await run("buckets", "--check"))[:2] == (0, said)


async def test_check_changes_nothing(run: Run, storage: StorageApi, db: Any) -> None:
    code, said, problems = await run("buckets", "--check")
    assert (code, problems) == (1, [])
    assert {line.partition(": ")[2] for line in said} == {
        "differs; it does not exist", f"differs; they lead nowhere, not to {storage.url}",
    }  # fmt: skip
    assert (await bucket(storage, "images"))["statusCode"] == "404"
    assert await db.fetchval("select project_url from media_settings") is None
    await run("buckets", "--yes")
    await db.execute(
        "update media_buckets set file_size_limit = 1000, is_public = false"
        " where bucket_name = 'images'"
    )

    code, said, problems = await run("buckets", "--check")

    assert (code, problems) == (1, [])
    difference = "public is True, not False; file_size_limit is 52428800, not 1000"
    assert f"images: differs; {difference}" in said
    assert len([line for line in said if line.endswith(": right")]) == 4
    assert (await bucket(storage, "images"))["public"] is True
    code, said, _ = await run("buckets", "--yes")
    assert code == 0
    assert f"images: changed; {difference}" in said
    images = await bucket(storage, "images")
    assert (images["public"], images["file_size_limit"]) == (False, 1000)


async def test_buckets_with_the_login_of_a_poller(
    run: Run, environment: dict[str, str], db: Any
) -> None:
    """It may check and make buckets, but not say where public URLs lead to."""
    login = environment["DATABASE_URL"]

    code, said, (line,) = await run("buckets", "--yes", DATABASE_URL=login)

    assert (code, len(said)) == (1, 4), line
    assert line == (
        "pgmedia: the buckets are right, but this login may not set the project URL, from which"
        " public URLs are built: run pgmedia buckets as a role that is in media_admin"
    )
    assert await db.fetchval("select project_url from media_settings") is None
    code, said, _ = await run("buckets", "--check", DATABASE_URL=login)
    assert (code, said[-1]) == (
        1, "public URLs: differs; they lead nowhere, not to " + environment["SUPABASE_URL"],
    )  # fmt: skip
    assert {line.partition(": ")[2] for line in said[:-1]} == {"right"}


async def test_where_public_urls_lead_is_said(run: Run, storage: StorageApi, db: Any) -> None:
    """A setting that leads to another project must not go by unseen."""
    await run("buckets", "--yes")
    await store(db, sha256(b"x"))
    await db.execute("select set_media_project_url('https://other.supabase.co')")

    code, (*_, last), _ = await run("buckets", "--check")

    assert (code, last) == (
        1, f"public URLs: differs; they lead to https://other.supabase.co, not to {storage.url}",
    )  # fmt: skip
    assert await db.fetchval("select project_url from media_settings") != storage.url
    code, (*_, last), _ = await run("buckets", "--yes")
    assert (code, last) == (
        0, "public URLs: changed; they led to https://other.supabase.co; 1 rebuilt",
    )  # fmt: skip
    await db.execute("update media_formats set served_inline = false")
    assert (await run("buckets", "--yes"))[1][-1] == "public URLs: changed; 1 rebuilt"
    assert (await run("buckets", "--yes"))[1][-1] == "public URLs: right"
    assert (await run("buckets", "--check"))[0] == 0


async def test_two_at_once(run: Run, storage: StorageApi) -> None:
    runs = await asyncio.gather(
        run("buckets", "--yes"), run("buckets", "--yes"), run("buckets", "--yes")
    )

    assert [code for code, _, _ in runs] == [0, 0, 0]
    assert (await run("buckets", "--check"))[0] == 0
    del storage


async def test_a_bucket_that_another_one_makes_meanwhile(
    run: Run, storage: StorageApi, db: Any
) -> None:
    await run("buckets", "--yes")
    await db.execute("update media_buckets set file_size_limit = 1000")
    storage.faults.once("bucket", Reason.NO_BUCKET.fault())  # it is there when it is to be made

    code, said, problems = await run("buckets", "--yes")

    assert (code, problems) == (0, [])
    assert said[0].endswith(": created; it does not exist")
    assert (await run("buckets", "--check"))[0] == 0


async def test_a_limit_above_the_servers_own(run: Run, storage: StorageApi, db: Any) -> None:
    await db.execute(
        "update media_buckets set file_size_limit = 52428801 where bucket_name = 'videos'"
    )

    await db.execute(
        "delete from media_formats where media_type = 'document';"
        "update media_formats set arrives_as = array_remove(arrives_as, 'document')"
    )

    code, said, problems = await run("buckets", "--yes")

    assert (code, problems) == (1, [
        "pgmedia: bucket documents: no format leads to it: add a row to media_formats, or remove"
        " that of media_buckets",
        "pgmedia: bucket videos: 52428801 bytes are more than the server's own limit; lower"
        " media_buckets.file_size_limit or raise the server's",
    ])  # fmt: skip
    assert said[:-1] == [f"{name}: created; it does not exist" for name in ("audio", "images")]
    assert await db.fetchval("select project_url from media_settings") == storage.url
    assert (await run("buckets", "--check"))[0] == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrong", "refused: signature verification failed"),
        ("expired", 'refused: "exp" claim timestamp check failed'),
        ("anon", "the storage key is the key of the role anon: SUPABASE_SERVICE_KEY must be"),
        ("junk", "the storage key is malformed: SUPABASE_SERVICE_KEY must be"),
    ],
)
async def test_a_key_that_is_refused(run: Run, storage: StorageApi, kind: str, words: str) -> None:
    key = {
        "wrong": storage.make_key("service_role", secret="another secret of 32 characters or more"),
        "expired": storage.make_key("service_role", expires_in=-60),
        "anon": storage.anon_key,
        "junk": "junk-key",
    }[kind]

    code, said, (line,) = await run("buckets", "--yes", SUPABASE_SERVICE_KEY=key)

    assert (code, said) == (1, [])
    assert words in line


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (bad_gateway(), "answered HTTP 502"),
        (gateway_denial(), "answered HTTP 401"),
        (Fault(404, "<html>\n<body>no such page"), "answered HTTP 404"),
        (Fault(200, "<html>\n<body>a login page"), "gave an answer that is none of Supabase's"),
        (Fault(200, ["x"]), "gave an answer that is none of Supabase's"),
        (Fault(200, {"x": 1}), "gave an answer that is none of Supabase's"),
        (Fault(200, "[" * 200_000), "gave an answer that is none of Supabase's"),
        (Fault(200, b"x" * 9_000_000), "gave an answer that is none of Supabase's"),
        (
            Fault(200, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}),
            "gave an answer that is none of Supabase's",
        ),
        (Fault(302, headers={"Location": "/x"}), "answered HTTP 302"),
        (Fault.disconnect(), "did not answer: "),
        (Fault.disconnect(after=5), "did not answer: "),
        (Fault.stall(), "did not answer: ReadTimeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_storage_that_is_none(
    run: Run, storage: StorageApi, fault: Fault, words: str
) -> None:
    storage.faults.always("bucket", fault)

    code, said, (line,) = await run("buckets", "--yes", PGMEDIA_TIMEOUT_SECONDS="2")

    assert (code, said) == (1, [])
    assert line.startswith(f"pgmedia: storage at {storage.url} {words}")


async def test_a_storage_that_is_not_there(run: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    code, said, (line,) = await run("buckets", "--yes", SUPABASE_URL=url)

    assert (code, said) == (1, [])
    assert line == f"pgmedia: storage at {url} did not answer: ConnectError"


async def test_a_bucket_that_does_not_take_its_settings(run: Run, storage: StorageApi) -> None:
    wrong = {
        "id": "audio", "name": "audio", "public": True, "owner": "", "file_size_limit": 1,
        "allowed_mime_types": None, "created_at": "2026-11-22T00:00:00Z",
        "updated_at": "2026-11-22T00:00:00Z",
    }  # fmt: skip
    storage.faults.always("bucket", Fault(200, wrong))

    code, said, (line, *_) = await run("buckets", "--yes")

    assert (code, said) == (1, [])
    assert re.match("pgmedia: bucket [a-z]+: it did not take its settings: public is True", line)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "sandbox").write_text("a file, no folder")

    done = pgmedia("demo", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr == "pgmedia: sandbox cannot be used: File exists\n"
