"""The examples of docs/client.md run as they are printed, and are typed to the last word."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

import poller
from poller.client import ERRORS, MediaError
from poller.media import Status
from poller.sandbox.samples import SAMPLES
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import POLLER_PASSWORD, StartPoller
from tests.docs.fences import CHECKOUT, fences
from tests.helpers import add_message, as_user, create_login, sha256

PAGE = (CHECKOUT / "docs" / "client.md").read_text("utf-8")
EXAMPLES = [one.text for one in fences("python") if one.file == "docs/client.md"]
JPEG = SAMPLES[0].read()
Store = Callable[[object, object], subprocess.CompletedProcess[str]]


@pytest.fixture
async def store(db: Any, database: str, tmp_path: Path) -> Store:
    """The first example with its two arguments."""
    await db.execute(create_login("example_bot", POLLER_PASSWORD, "media_client"))
    file = tmp_path / "store.py"
    file.write_text(EXAMPLES[0])
    dsn = as_user(database, "example_bot", POLLER_PASSWORD)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(file), *map(str, arguments)], cwd=tmp_path, timeout=60,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": dsn}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    return run


async def test_the_example_stores_a_file(
    db: Any, store: Store, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    message = await add_message(db)
    await start_poller()

    done = await asyncio.to_thread(store, message, whatsapp.add_media(JPEG, "image/jpeg"))

    assert (done.returncode, done.stderr) == (0, "")
    stored, same = done.stdout.splitlines()
    path = await db.fetchval("select storage_path from media_objects")
    assert stored.startswith(f"stored: images {path} http")
    assert same.startswith("the same bytes: [StoredObject(object_id=UUID(")
    assert await db.fetchval("select content_hash from media") == sha256(JPEG)


async def test_the_example_says_what_was_refused(store: Store) -> None:
    unknown: UUID = uuid4()
    done = await asyncio.to_thread(store, unknown, "4711")

    assert done.returncode == 1
    assert re.fullmatch(rf"message {unknown} does not exist \(MD010\)\. .+\n", done.stderr)


async def test_the_example_of_a_transaction_keeps_both(db: Any, database: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(EXAMPLES[1], "docs/client.md", "exec", dont_inherit=True), names)  # noqa: S102
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        media = await names["keep"](pool, "wamid.1", "4711")

    assert await db.fetchval(
        "select m.whatsapp_message_id from messages m join media a on a.message_id = m.id"
        " where a.id = $1", media,
    ) == "wamid.1"  # fmt: skip


def test_the_examples_are_typed(tmp_path: Path) -> None:
    """As strictly as there is, by the package's own types."""
    assert importlib.util.find_spec("basedpyright")
    assert (Path(poller.__file__).parent / "py.typed").exists()
    for number, text in enumerate(EXAMPLES):
        (tmp_path / f"example_{number}.py").write_text(text)
    config = {"typeCheckingMode": "strict", "extraPaths": [str(CHECKOUT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))

    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout.strip().endswith("0 errors, 0 warnings, 0 notes"), done.stdout


def test_every_error_is_named() -> None:
    assert len(EXAMPLES) == 2
    for error in {*ERRORS.values(), MediaError}:
        assert f"`{error.__name__}`" in PAGE
    for status in Status.__args__:  # type: ignore[attr-defined]
        assert f'"{status}"' in EXAMPLES[0]
