"""Every block of SQL and Python in README.md and docs/ works as it is printed there."""

from __future__ import annotations

import ast
import inspect
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from poller.sandbox.samples import SAMPLES
from tests.docs.fences import Fence, fences
from tests.docs.test_commands import PRINTED_ID
from tests.urls.conftest import StoreFile

PRINTED_MESSAGE = "0b6dfd09-9c2c-4b8e-9d59-1c1f4f3f1c55"
NEEDS_PG_CRON = "cron.job"
"""Statements about pg_cron, which tests/system/test_pg_cron.py runs with the real one."""


def statements(fence: Fence) -> str:
    """The block, with an empty list where it leaves out what Meta sends."""
    text = fence.text.replace("[...]", "[]")
    return "\n".join(line for line in text.splitlines() if NEEDS_PG_CRON not in line)


@pytest.mark.parametrize("fence", fences("sql"), ids=str)
async def test_a_block_of_sql_works(db: Any, store_file: StoreFile, fence: Fence) -> None:
    media = await store_file(SAMPLES[0].read(), "image/jpeg", "image")
    message = await db.fetchval("select message_id from media where id = $1", media)
    text = statements(fence).replace(PRINTED_ID, str(media)).replace(PRINTED_MESSAGE, str(message))

    transaction = db.transaction()  # roles belong to the whole server
    await transaction.start()
    try:
        await db.execute("create role anon")
        await db.execute(text)
    finally:
        await transaction.rollback()


ELSEWHERE = "docs/client.md"
"""Its blocks are whole programs: test_client.py."""
PYTHON = [fence for fence in fences("python") if fence.file != ELSEWHERE]


@pytest.mark.parametrize("fence", PYTHON, ids=str)
async def test_a_block_of_python_works(
    environment: dict[str, str], database: str, store_file: StoreFile,
    monkeypatch: pytest.MonkeyPatch, fence: Fence,
) -> None:  # fmt: skip
    media = await store_file(SAMPLES[0].read(), "image/jpeg", "image")
    for name, value in (environment | {"DATABASE_URL": database}).items():
        monkeypatch.setenv(name, value)
    pool: Any = await asyncpg.create_pool(database, min_size=1, max_size=2)
    message = await pool.fetchval("select message_id from media where id = $1", media)
    names: dict[str, Any] = {
        "media_id": media, "message_id": message, "dsn": database, "pool": pool,
        "wamid": "wamid.1", "whatsapp_media_id": "4711",
    }  # fmt: skip
    code = compile(
        fence.text, str(fence), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )

    answer = eval(code, names)  # noqa: S307 - our own documentation
    if inspect.isawaitable(answer):
        await answer

    await pool.close()
    if "database" in names:
        await names["database"].close()
    assert isinstance(names["media_id"], UUID)
