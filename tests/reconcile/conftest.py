"""`pgmedia reconcile` as a process of its own, and somebody who changes storage behind its back."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.conftest import StartPoller
from tests.helpers import as_user, everything, pgmedia

LONG_AGO = "2026-01-01T12:00:00.000Z"
PASSWORD = "pgmedia-test-password"
NOW = "2026/02"
"""A folder that pgmedia could have made."""
ORPHAN = f"images/{NOW}/0d6b8c1e-58a7-4d8e-9f0b-2b7f3f6d9f01.jpg"
PDF = f"documents/{NOW}/3f0c9f5a-6a0e-4a60-b3c8-0b4f6fd0a9c2.pdf"
AUDIO = f"audio/{NOW}/9a2d7c44-1f53-4c1b-8d57-c0e8a1b2f3d4.mp3"
YOUNG = f"images/{NOW}/5e8f1b7d-2c3a-4f6e-9b0a-7d4c1e2f3a5b.jpg"
LEFT_OVER = (
    "select (select count(*) from media_reconcile_runs), (select count(*) from"
    " media_storage_listing), (select count(*) from media_storage_differences)"
)
Reconcile = Callable[..., Awaitable["Ended"]]


class Ended:
    """A run that has ended: its exit code, and what it said."""

    def __init__(self, code: int, said: str, problems: str) -> None:
        self.code = code
        self.said = said.splitlines()
        self.problems = problems.splitlines()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said]

    @property
    def found(self) -> dict[str, str]:
        """What it found, by file."""
        return self._by_file("difference", without="outcome")

    @property
    def outcomes(self) -> dict[str, str]:
        return self._by_file("outcome")

    @property
    def totals(self) -> dict[str, int]:
        return self.lines[-1]["totals"]

    def _by_file(self, key: str, without: str = "") -> dict[str, str]:
        return {
            f"{line['bucket_name']}/{line['storage_path']}": line[key]
            for line in self.lines
            if key in line and without not in line
        }


@pytest.fixture
async def operator(db: Any, database: str) -> AsyncIterator[dict[str, str]]:
    """The settings that let a process work as an operator, in media_admin alone."""
    name = f"pgmedia_test_operator_{os.getpid()}"
    await db.execute(f"create role {name} login password '{PASSWORD}' in role media_admin")
    yield {"DATABASE_URL": as_user(database, name, PASSWORD)}
    await db.execute(f"drop role {name}")


@pytest.fixture
def reconcile(
    environment: dict[str, str], operator: dict[str, str], tmp_path: Path, buckets: None
) -> Reconcile:
    """Run the command to its end. No line may hold a secret."""
    del buckets

    async def run(*arguments: str, **changes: str) -> Ended:
        settings: dict[str, Any] = environment | operator | changes
        done = await asyncio.to_thread(pgmedia, "reconcile", *arguments, cwd=tmp_path, **settings)
        output = done.stdout + done.stderr
        assert settings["SUPABASE_SERVICE_KEY"] not in output
        assert "Traceback" not in output, output
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


class Hand:
    """Somebody with the service key, who changes storage behind pgmedia's back."""

    def __init__(self, storage: StorageApi, folder: Path) -> None:
        self._storage = storage
        self._rows = folder / ".metadata/rows.sqlite3"

    async def _call(self, method: str, path: str, **arguments: Any) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.request(
                method,
                f"{self._storage.url}/storage/v1/{path}",
                headers={
                    "Authorization": f"Bearer {self._storage.service_key}",
                    **arguments.pop("headers", {}),
                },
                **arguments,
            )
        assert answer.status_code == 200, answer.text

    async def put(self, file: str, content: bytes = b"x", mime_type: str = "image/jpeg") -> None:
        headers = {"Content-Type": mime_type, "x-upsert": "true"}
        await self._call("POST", f"object/{file}", content=content, headers=headers)

    async def remove(self, file: str) -> None:
        bucket, _, path = file.partition("/")
        await self._call("DELETE", f"object/{bucket}", json={"prefixes": [path]})

    async def make_bucket(self, name: str) -> None:
        await self._call("POST", "bucket", json={"name": name})

    def copy(self, file: str, paths: list[str]) -> None:
        """Files like this one at many paths, without the API."""
        bucket, _, path = file.partition("/")
        with closing(sqlite3.connect(self._rows)) as rows, rows:
            rows.executemany(
                "insert into objects select bucket, ?1, json_set(data, '$.name', ?1) from objects"
                " where bucket = ?2 and name = ?3",
                [(one, bucket, path) for one in paths],
            )

    def age(self) -> None:
        """Let all files have been there for long."""
        with closing(sqlite3.connect(self._rows)) as rows, rows:
            rows.execute(
                "update objects set data = json_set(data, '$.created_at', ?1, '$.updated_at', ?1)",
                [LONG_AGO],
            )


@pytest.fixture
def hand(storage: StorageApi, files: Path) -> Hand:
    return Hand(storage, files)


async def age_rows(db: Any) -> None:
    await db.execute("update media_objects set stored_at = stored_at - interval '2 hours'")


async def file_of(db: Any, media: Any) -> str:
    row = await db.fetchrow("select * from media where id = $1 and processed", media)
    return f"{row['bucket_name']}/{row['storage_path']}"


async def drain(start_poller: StartPoller) -> None:
    assert await (await start_poller("--drain")).ended() == 0


async def state(db: Any) -> dict[str, list[str]]:
    """Everything but what pollers say of themselves."""
    return {name: rows for name, rows in (await everything(db)).items() if name != "media_pollers"}


def files_in(folder: Path) -> set[str]:
    """Bucket and path of each, without the stand-in's own."""
    return {str(one.relative_to(folder)) for one in folder.glob("[!.]*/**/*.*")}
