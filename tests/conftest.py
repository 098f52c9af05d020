"""A Postgres, a WhatsApp and a Storage for every test, each its own and all of them real servers.

Postgres is the embedded one, or with PGMEDIA_TEST_DATABASE_URL the server behind that URL. With
PGMEDIA_TEST_POSTGRES=docker it is one in a container, with a folder there the programs in it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

from poller.buckets import sync_buckets
from poller.config import Settings
from poller.db import Database
from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import as_database, as_user, create_login, eventually

POLLER_USER, POLLER_PASSWORD = "pgmedia_test_poller", "pgmedia-test-password"
OPERATOR_USER = "pgmedia_test_operator"

CREATE_POLLER_USER = create_login(POLLER_USER, POLLER_PASSWORD, "media_poller")

Connect = Callable[..., Awaitable[Any]]
StartPoller = Callable[..., Awaitable["PollerProcess"]]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """DSN of a Postgres server on which databases can be made; one for each test process."""
    if url := os.environ.get("PGMEDIA_TEST_DATABASE_URL"):
        yield url
    elif (choice := os.environ.get("PGMEDIA_TEST_POSTGRES", "embedded")) == "docker":
        from testcontainers.community.postgres import PostgresContainer

        image = os.environ.get("PGMEDIA_TEST_IMAGE", "postgres:17-alpine")
        with PostgresContainer(image, driver=None) as container:
            yield container.get_connection_url()
    else:
        with PostgresServer(None if choice == "embedded" else Path(choice)) as postgres:
            yield postgres.dsn()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A Postgres of one test alone, which it may crash."""
    with PostgresServer(settings={}) as postgres:
        migrate(SecretStr(postgres.dsn()))
        yield postgres


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """Name of a database with the schema, to be cloned; nobody is ever connected to it."""
    name = f"pgmedia_template_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        _execute(connection, f"create database {name}")
        migrate(SecretStr(as_database(server, name)))
        _execute(connection, CREATE_POLLER_USER)
        yield name
        _execute(connection, f"drop database {name} with (force)")


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """DSN of an empty database."""
    yield from _database(server, "template1")


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """DSN of a fresh database with the schema, as its owner."""
    yield from _database(server, template)


def _execute(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement.encode())


def _database(server: str, template: str) -> Iterator[str]:
    name = f"pgmedia_test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        # the log, through which a small database is copied by default, is only a detour here
        _execute(connection, f"create database {name} template {template} strategy file_copy")
        yield as_database(server, name)
        _execute(connection, f"drop database {name} with (force)")


@pytest.fixture
async def connect(database: str) -> AsyncIterator[Connect]:
    """Open a connection to the test's database, as its owner or in a role."""
    opened: list[Any] = []

    async def open_connection(role: str | None = None) -> Any:
        connection: Any = await asyncpg.connect(database)
        opened.append(connection)
        await connection.execute("set lock_timeout = '10s'")
        if role:
            await connection.execute(f"set role {role}")
        return connection

    yield open_connection
    for connection in opened:
        connection.terminate()


@pytest.fixture
async def db(connect: Connect) -> Any:
    """A connection to the test's database as its owner."""
    return await connect()


@pytest.fixture
async def whatsapp() -> AsyncIterator[WhatsAppApi]:
    async with WhatsAppApi() as api:
        yield api


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder in which the stand-in storage keeps its files, by bucket."""
    return tmp_path / "files"


@pytest.fixture
async def storage(files: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(files) as api:
        yield api


@pytest.fixture
def environment(database: str, whatsapp: WhatsAppApi, storage: StorageApi) -> dict[str, str]:
    """The settings of a poller that works on this test's servers, as media_poller alone."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": as_user(database, POLLER_USER, POLLER_PASSWORD),
        "SUPABASE_URL": storage.url,
        "SUPABASE_SERVICE_KEY": storage.service_key,
        "WHATSAPP_API_URL": whatsapp.url,
        "WHATSAPP_TOKEN": whatsapp.token,
        "PGMEDIA_TIMEOUT_SECONDS": "30",
        "PGMEDIA_POLL_SECONDS": "0.2",
        "PGMEDIA_LOG_FORMAT": "plain",
    }


@pytest.fixture
def operator(database: str) -> str:
    """DSN of the test's database for an operator, who is in media_admin alone."""
    with psycopg.connect(database, autocommit=True) as connection:
        _execute(connection, create_login(OPERATOR_USER, POLLER_PASSWORD, "media_admin"))
    return as_user(database, OPERATOR_USER, POLLER_PASSWORD)


@pytest.fixture
def settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env("supabase_url", "supabase_service_key", "whatsapp_token")


@pytest.fixture
async def buckets(settings: Settings, database: str) -> None:
    """The buckets exist, and the database knows where storage is: an operator's work."""
    operator = await Database.connect(database, "test buckets", 1)
    async for change in sync_buckets(settings, await operator.bucket_policy()):
        assert change.action == "created"
    await operator.set_project_url(str(settings.supabase_url))
    await operator.close()


@dataclass(frozen=True, slots=True)
class PollerProcess:
    """A real `pgmedia poll` in a process of its own, and its log."""

    process: asyncio.subprocess.Process
    log: Path

    def kill(self) -> None:
        self.process.kill()

    def terminate(self) -> None:
        self.process.terminate()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)

    async def logged(self, words: str) -> None:
        """Wait until the log has these words."""
        await eventually(lambda: words in self.log.read_text())


@pytest.fixture
async def start_poller(
    environment: dict[str, str], tmp_path: Path, buckets: None
) -> AsyncIterator[StartPoller]:
    """Start a poller process; at the end all are killed, and no log may hold a secret."""
    del buckets
    started: list[PollerProcess] = []

    async def start(
        *arguments: str, most_file_bytes: int = resource.RLIM_INFINITY, **changes: str
    ) -> PollerProcess:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes))

        log = tmp_path / f"poller-{len(started)}.log"
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "poller", "poll", *arguments,
                env=environment | changes, stdout=stream, stderr=stream, cwd=tmp_path,
                preexec_fn=limit,
            )  # fmt: skip
        started.append(PollerProcess(process, log))
        return started[-1]

    yield start
    for one in started:
        if one.process.returncode is None:
            one.kill()
            await one.process.wait()
    secrets = [environment[name] for name in ("WHATSAPP_TOKEN", "SUPABASE_SERVICE_KEY")]
    for one in started:
        text = one.log.read_text()
        assert not [secret for secret in (*secrets, POLLER_PASSWORD) if secret in text]
