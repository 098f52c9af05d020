"""The fixtures of the webhook's tests serve here, too; and the door that PostgREST is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Connect
from tests.helpers import as_user
from tests.system.postgrest import CREATE_ROLES, PASSWORD, USER, serving
from tests.webhook.conftest import Meta, http

__all__ = ["admin", "http", "meta"]


@pytest.fixture
async def admin(db: Any, connect: Connect) -> Any:
    """An operator, in a database that has the role anon."""
    await db.execute(CREATE_ROLES)
    return await connect("media_admin")


@pytest.fixture
async def meta(
    admin: Any, database: str, http: httpx.AsyncClient, tmp_path: Path
) -> AsyncIterator[Meta]:
    """Meta at a PostgREST that serves the test's database."""
    del admin
    dsn = as_user(database, USER, PASSWORD)
    async with serving(dsn, tmp_path / "postgrest.log") as url:
        yield Meta(http, f"{url}/rpc/whatsapp_webhook")
