"""The command, as a process of its own: what it says, and with which exit code."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import Reason, bad_gateway, gateway_denial
from tests.conftest import PollerProcess
from tests.helpers import as_database, as_user, eventually, pgmedia

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]
Start = Callable[..., Awaitable[PollerProcess]]

SECRET = "hunter2"


@pytest.fixture
def run(environment: dict[str, str], operator: str, tmp_path: Path) -> Run:
    """Run the command to its end, as an operator; its exit code and its lines.

    No line may hold a secret.
    """

    async def run_command(*arguments: str, **changes: str) -> tuple[int, list[str], list[str]]:
        settings: dict[str, Any] = environment | {"DATABASE_URL": operator} | changes
        done = await asyncio.to_thread(pgmedia, *arguments, cwd=tmp_path, **settings)
        output = done.stdout + done.stderr
        for secret in (settings["SUPABASE_SERVICE_KEY"], settings["WHATSAPP_TOKEN"], SECRET):
            assert secret not in output
        assert "Traceback" not in output
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_command


@pytest.fixture
async def start(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Start]:
    """Start `pgmedia poll` with nothing prepared."""
    started: list[PollerProcess] = []

    async def start_process(*arguments: str, **changes: str) -> PollerProcess:
        log = tmp_path / f"process-{len(started)}.log"
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "poller", "poll", *arguments,
                env=environment | changes, stdout=stream, stderr=stream, cwd=tmp_path,
            )  # fmt: skip
        started.append(PollerProcess(process, log))
        return started[-1]

    yield start_process
    for one in started:
        if one.process.returncode is None:
            one.kill()
            await one.process.wait()


@pytest.fixture
def nowhere() -> str:
    """DSN of a port at which nothing listens."""
    return f"postgresql://user:{SECRET}@127.0.0.1:{free_port()}/database"


@pytest.mark.parametrize("command", [["migrate"], ["buckets"], ["reconcile"], ["poll", "--drain"]])
async def test_a_database_that_is_not_there(run: Run, nowhere: str, command: list[str]) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=nowhere)

    assert code == 1
    assert said == []
    assert re.search("[Cc]onnect", line)


@pytest.mark.parametrize(
    "command", [["migrate"], ["buckets"], ["reconcile"], ["poll"], ["poll", "--drain"]]
)
async def test_a_login_that_is_refused(
    run: Run, database: str, environment: dict[str, str], command: list[str]
) -> None:
    stranger = as_user(database, "nobody_of_that_name", SECRET)

    code, said, (line,) = await run(*command, DATABASE_URL=stranger)

    assert (code, said) == (1, [])
    assert "nobody_of_that_name" in line
    no_login = as_user(environment["DATABASE_URL"], "media_admin", SECRET)
    code, said, (line,) = await run(*command, DATABASE_URL=no_login)
    assert (code, said) == (1, [])
    assert "media_admin" in line


@pytest.mark.parametrize(
    "command", [["migrate"], ["buckets"], ["reconcile"], ["poll"], ["poll", "--drain"]]
)
async def test_a_database_of_another_name(run: Run, database: str, command: list[str]) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=as_database(database, "no_such_name"))

    assert (code, said) == (1, [])
    assert 'database "no_such_name" does not exist' in line


@pytest.mark.parametrize("command", [["buckets"], ["reconcile"], ["poll"], ["poll", "--drain"]])
async def test_a_database_without_the_schema(
    run: Run, empty_database: str, command: list[str]
) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=empty_database)

    assert (code, said) == (1, [])
    assert "run pgmedia migrate" in line


@pytest.mark.parametrize("command", [["buckets"], ["reconcile"], ["poll"], ["poll", "--drain"]])
async def test_a_role_without_rights(run: Run, db: Any, database: str, command: list[str]) -> None:
    await db.execute("create role pgmedia_test_stranger login")
    try:
        stranger = as_user(database, "pgmedia_test_stranger", SECRET)
        code, said, (line,) = await run(*command, DATABASE_URL=stranger)
    finally:
        await db.execute("drop role pgmedia_test_stranger")

    assert (code, said) == (1, [])
    assert "the database refused: permission denied for function" in line


async def test_migrate_says_what_it_did(run: Run, empty_database: str) -> None:
    first = await run("migrate", DATABASE_URL=empty_database)
    again = await run("migrate", DATABASE_URL=empty_database)

    complete = "the schema is that of version 0.1.0"
    assert (first[0], first[2]) == (0, [])
    assert first[1][0] == "applied 0001.create-messages-and-media"
    assert first[1][-1] == complete
    assert again == (0, [complete], [])


async def test_several_hosts_in_the_url(
    run: Run, empty_database: str, environment: dict[str, str]
) -> None:
    def with_a_dead_host(dsn: str) -> str:
        before, _, address = dsn.rpartition("@")
        return f"{before}@127.0.0.1:{free_port()},{address}"

    code, _, problems = await run("migrate", DATABASE_URL=with_a_dead_host(empty_database))
    assert (code, problems) == (0, [])
    there = with_a_dead_host(environment["DATABASE_URL"])
    code, _, problems = await run("poll", "--drain", DATABASE_URL=there)
    assert code == 0


async def test_poll_waits_for_its_database(start: Start, nowhere: str) -> None:
    poller = await start(DATABASE_URL=nowhere)

    await eventually(lambda: len(poller.log.read_text().splitlines()) >= 3)

    poller.terminate()
    assert await asyncio.wait_for(poller.process.wait(), 5) == 0
    *tries, last = poller.log.read_text().splitlines()
    waits = [re.search(r"database away, again in ([0-9.]+) s: Conn", line) for line in tries]
    assert [wait and wait[1] for wait in waits[:3]] == ["0.1", "0.5", "2.0"][: len(waits)]
    assert all(waits)
    assert "stopping" in last
    assert SECRET not in poller.log.read_text()


async def test_poll_begins_when_its_database_comes(
    start: Start, database: str, environment: dict[str, str]
) -> None:
    port = free_port()
    host, _, real_port = database.rpartition("@")[2].partition("/")[0].rpartition(":")
    dsn = environment["DATABASE_URL"].replace(f"{host}:{real_port}", f"127.0.0.1:{port}")
    poller = await start(DATABASE_URL=dsn)
    await poller.logged("database away")

    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(real_port))
        writers.extend([writer, there_writer])
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    await poller.logged("at once")
    poller.terminate()

    assert await poller.ended() == 0
    server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)  # the transports close


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def bucket(storage: StorageApi, name: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{storage.url}/storage/v1/bucket/{name}",
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )
    return json.loads(answer.content)


async def test_buckets_are_made_to_the_policy(run: Run, storage: StorageApi, db: Any) -> None:
    names = ["audio", "documents", "images", "videos"]

    code, said, problems = await run("buckets")

    assert (code, problems) == (0, [])
    assert sorted(said) == [f"{name}: created; it does not exist" for name in names]
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
    code, said, problems = await run("buckets")
    assert (code, sorted(said), problems) == (0, [f"{name}: right" for name in names], [])
    assert (await run("buckets", "--check"))[:2] == (0, said)


async def test_check_changes_nothing(run: Run, storage: StorageApi, db: Any) -> None:
    code, said, problems = await run("buckets", "--check")
    assert (code, problems) == (1, [])
    assert {line.partition(": ")[2] for line in said} == {"differs; it does not exist"}
    assert (await bucket(storage, "images"))["statusCode"] == "404"
    assert await db.fetchval("select project_url from media_settings") is None
    await run("buckets")
    await db.execute(
        "update media_buckets set file_size_limit = 1000, is_public = false"
        " where bucket_name = 'images'"
    )

    code, said, problems = await run("buckets", "--check")

    assert (code, problems) == (1, [])
    difference = "public is True, not False; file_size_limit is 52428800, not 1000"
    assert f"images: differs; {difference}" in said
    assert len([line for line in said if line.endswith(": right")]) == 3
    assert (await bucket(storage, "images"))["public"] is True
    code, said, _ = await run("buckets")
    assert code == 0
    assert f"images: changed; {difference}" in said
    images = await bucket(storage, "images")
    assert (images["public"], images["file_size_limit"]) == (False, 1000)


async def test_buckets_with_the_login_of_a_poller(
    run: Run, environment: dict[str, str], db: Any
) -> None:
    """It may check and make buckets, but not say where public URLs lead to."""
    login = environment["DATABASE_URL"]

    code, said, (line,) = await run("buckets", DATABASE_URL=login)

    assert (code, len(said)) == (1, 4), line
    assert line == (
        "pgmedia: the buckets are right, but this login may not set the project URL, from which"
        " public URLs are built: run pgmedia buckets as a role that is in media_admin"
    )
    assert await db.fetchval("select project_url from media_settings") is None
    assert (await run("buckets", "--check", DATABASE_URL=login))[0] == 0


async def test_two_at_once(run: Run, storage: StorageApi) -> None:
    runs = await asyncio.gather(run("buckets"), run("buckets"), run("buckets"))

    assert [code for code, _, _ in runs] == [0, 0, 0]
    assert (await run("buckets", "--check"))[0] == 0
    del storage


async def test_a_bucket_that_another_one_makes_meanwhile(
    run: Run, storage: StorageApi, db: Any
) -> None:
    await run("buckets")
    await db.execute("update media_buckets set file_size_limit = 1000")
    storage.faults.once("bucket", Reason.NO_BUCKET.fault())  # it is there when it is to be made

    code, said, problems = await run("buckets")

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

    code, said, problems = await run("buckets")

    assert (code, problems) == (1, [
        "pgmedia: bucket documents: no format leads to it: add a row to media_formats, or remove"
        " that of media_buckets",
        "pgmedia: bucket videos: 52428801 bytes are more than the server's own limit; lower"
        " media_buckets.file_size_limit or raise the server's",
    ])  # fmt: skip
    assert said == [f"{name}: created; it does not exist" for name in ("audio", "images")]
    assert await db.fetchval("select project_url from media_settings") == storage.url
    assert (await run("buckets", "--check"))[0] == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrong", "refused: signature verification failed"),
        ("expired", "the storage key is expired 20"),
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

    code, said, (line,) = await run("buckets", SUPABASE_SERVICE_KEY=key)

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

    code, said, (line,) = await run("buckets", PGMEDIA_TIMEOUT_SECONDS="0.5")

    assert (code, said) == (1, [])
    assert line.startswith(f"pgmedia: storage at {storage.url} {words}")


async def test_a_storage_that_is_not_there(run: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    code, said, (line,) = await run("buckets", SUPABASE_URL=url)

    assert (code, said) == (1, [])
    assert line == f"pgmedia: storage at {url} did not answer: ConnectError"


async def test_a_bucket_that_does_not_take_its_settings(run: Run, storage: StorageApi) -> None:
    wrong = {
        "id": "audio", "name": "audio", "public": True, "owner": "", "file_size_limit": 1,
        "allowed_mime_types": None, "created_at": "2026-11-22T00:00:00Z",
        "updated_at": "2026-11-22T00:00:00Z",
    }  # fmt: skip
    storage.faults.always("bucket", Fault(200, wrong))

    code, said, (line, *_) = await run("buckets")

    assert (code, said) == (1, [])
    assert re.match("pgmedia: bucket [a-z]+: it did not take its settings: public is True", line)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "sandbox").write_text("a file, no folder")

    done = pgmedia("demo", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("pgmedia: NotADirectoryError: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_version(tmp_path: Path) -> None:
    done = pgmedia("--version", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "pgmedia 0.1.0\n")


@pytest.mark.parametrize("arguments", [["fly"], ["poll", "--fly"], ["demo", "--messages", "0"]])
def test_a_wrong_argument(tmp_path: Path, arguments: list[str]) -> None:
    done = pgmedia(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr
