"""The command, as a process of its own: what it says, and with which exit code."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.postgres import free_port
from tests.command import SECRET, Run, nowhere, run
from tests.conftest import PollerProcess
from tests.helpers import as_database, as_user, eventually, pgmedia

__all__ = ["nowhere", "run"]


Start = Callable[..., Awaitable[PollerProcess]]


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


@pytest.mark.parametrize(
    "command",
    [
        ["migrate", "--yes"], ["buckets", "--yes"], ["reconcile"], ["poll", "--drain"], ["status"],
        ["queue", "--missing", "--yes"], ["queue", "--missing", "--dry-run", "--json"],
    ],
)  # fmt: skip
async def test_a_database_that_is_not_there(run: Run, nowhere: str, command: list[str]) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=nowhere)

    assert code == 1
    assert said == []
    assert re.search("[Cc]onnect", line)


@pytest.mark.parametrize(
    "command",
    [["migrate", "--yes"], ["buckets", "--yes"], ["reconcile"], ["poll"], ["poll", "--drain"]],
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
    "command",
    [["migrate", "--yes"], ["buckets", "--yes"], ["reconcile"], ["poll"], ["poll", "--drain"]],
)
async def test_a_database_of_another_name(run: Run, database: str, command: list[str]) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=as_database(database, "no_such_name"))

    assert (code, said) == (1, [])
    assert 'database "no_such_name" does not exist' in line


@pytest.mark.parametrize(
    "command", [["buckets", "--yes"], ["reconcile"], ["poll"], ["poll", "--drain"]]
)
async def test_a_database_without_the_schema(
    run: Run, empty_database: str, command: list[str]
) -> None:
    code, said, (line,) = await run(*command, DATABASE_URL=empty_database)

    assert (code, said) == (1, [])
    assert "run pgmedia migrate" in line


@pytest.mark.parametrize(
    "command", [["buckets", "--yes"], ["reconcile"], ["poll"], ["poll", "--drain"]]
)
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
    first = await run("migrate", "--yes", DATABASE_URL=empty_database)
    again = await run("migrate", "--yes", DATABASE_URL=empty_database)

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

    code, _, problems = await run("migrate", "--yes", DATABASE_URL=with_a_dead_host(empty_database))
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


def test_the_version(tmp_path: Path) -> None:
    done = pgmedia("--version", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "pgmedia 0.1.0\n")


@pytest.mark.parametrize("arguments", [["fly"], ["poll", "--fly"], ["demo", "--messages", "0"]])
def test_a_wrong_argument(tmp_path: Path, arguments: list[str]) -> None:
    done = pgmedia(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr
