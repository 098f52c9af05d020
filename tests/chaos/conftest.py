"""The fixtures of the other tests, on a Postgres of its own that may be crashed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer
from tests.conftest import CREATE_POLLER_USER
from tests.helpers import sql


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A Postgres of this test alone, with fsync on, so that a crash of it is an honest one."""
    choice = os.environ.get("PGMEDIA_TEST_POSTGRES", "")
    with PostgresServer(Path(choice) if "/" in choice else None, settings={}) as postgres:
        migrate(SecretStr(postgres.dsn()))
        sql(postgres.dsn(), CREATE_POLLER_USER)
        yield postgres


@pytest.fixture
def database(own_server: PostgresServer) -> str:
    return own_server.dsn()


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Little patience, and every download on disk."""
    spool = tmp_path / "spool"
    spool.mkdir()
    return environment | {
        "PGMEDIA_TIMEOUT_SECONDS": "1.5",
        "PGMEDIA_GRACE_SECONDS": "1",
        "PGMEDIA_CONCURRENCY": "8",
        "PGMEDIA_SPOOL_FOLDER": str(spool),
        "PGMEDIA_SPOOL_MEMORY_BYTES": "1000",
    }
