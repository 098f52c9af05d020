"""The door without any Python: whatsapp_webhook through a real PostgREST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Connect
from tests.helpers import as_user
from tests.system.postgrest import serving
from tests.webhook.conftest import Meta
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN

USER = "pgmedia_test_authenticator"
PASSWORD = "pgmedia-test-password"
CREATE_ROLES = f"""
do $$
begin
    create role anon nologin;
exception when duplicate_object or unique_violation then
    null;
end $$;
do $$
begin
    create role {USER} login noinherit password '{PASSWORD}';
exception when duplicate_object or unique_violation then
    null;
end $$;
grant anon to {USER};
"""


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


async def open_door(admin: Any) -> None:
    await admin.execute("select set_whatsapp_secrets($1, $2)", APP_SECRET, VERIFY_TOKEN)
    await admin.execute("select open_whatsapp_webhook()")
