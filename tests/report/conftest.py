"""Databases with a history, and `pgmedia report` on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import POLLER_PASSWORD
from tests.helpers import as_user, create_login, pgmedia

READER = "pgmedia_test_reader"
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
async def reader(db: Any, database: str) -> str:
    """DSN for a login in media_reader alone."""
    await db.execute(create_login(READER, POLLER_PASSWORD, "media_reader"))
    return as_user(database, READER, POLLER_PASSWORD)


@pytest.fixture
def run(reader: str, tmp_path: Path) -> Run:
    """`pgmedia report`; its exit code and what it said."""

    async def report(*arguments: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(
            pgmedia, "report", *arguments, cwd=tmp_path, DATABASE_URL=reader
        )
        return done.returncode, done.stdout, done.stderr

    return report
