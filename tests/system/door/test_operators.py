"""The door without any Python: who opens it, and what anon has by it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from tests.conftest import Connect
from tests.system.door.conftest import (
    open_door,
)
from tests.webhook.conftest import Meta
from tests.webhook.payloads import message, received


async def test_an_open_door_gives_anon_nothing_else(db: Any, admin: Any) -> None:
    await open_door(admin)

    may = await db.fetch(
        "select p.oid::regprocedure::text from pg_proc p join media_schema_functions f"
        " on p.oid = f.signature::regprocedure"
        " where has_function_privilege('anon', p.oid, 'execute') order by 1"
    )

    assert [row[0] for row in may] == ["whatsapp_webhook(json)", "whatsapp_webhook(text,text,text)"]


async def test_an_upgrade_leaves_the_door_as_it_was(
    db: Any, admin: Any, meta: Meta, database: str
) -> None:
    await open_door(admin)
    migrated = await asyncio.to_thread(migrate, SecretStr(database))
    assert migrated.differences == []
    assert (await meta.post(received(message()))).status_code == 200

    await admin.execute("select close_whatsapp_webhook()")
    await asyncio.to_thread(migrate, SecretStr(database))
    assert (await meta.post(received(message()))).status_code == 401

    await db.execute("grant execute on function whatsapp_webhook(json) to anon")
    opened = "select describe_media_schema() like 'grant execute on % to anon' as found"
    assert [row["found"] for row in await db.fetch(opened)].count(True) == 1


async def test_nobody_reads_the_secrets(admin: Any, connect: Connect) -> None:
    await open_door(admin)
    for role in ("anon", "media_client", "media_poller", "media_admin"):
        reader = await connect(role)
        for statement in (
            "select * from media_secrets",
            "update media_secrets set app_secret = app_secret returning app_secret",
            "delete from media_secrets",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(statement)


async def test_white_space_around_a_secret_is_none_of_it(db: Any, admin: Any) -> None:
    await admin.execute("select set_whatsapp_secrets(E' secret\\n ', E'\\ttoken\\r\\n')")
    kept = await db.fetchrow("select app_secret, verify_token from media_secrets")
    assert tuple(kept) == ("secret", "token")
    await admin.execute("select set_whatsapp_secrets('vivid-v', E'v\\x0b')")
    kept = await db.fetchrow("select app_secret, verify_token from media_secrets")
    assert tuple(kept) == ("vivid-v", "v")

    with pytest.raises(asyncpg.PostgresError) as blank:
        await admin.execute("select set_whatsapp_secrets(E' \\n', 'token')")
    assert blank.value.sqlstate == "MD052"


async def test_the_door_needs_secrets_and_the_role_anon(db: Any, admin: Any) -> None:
    with pytest.raises(asyncpg.PostgresError) as without_secrets:
        await admin.execute("select open_whatsapp_webhook()")
    with pytest.raises(asyncpg.PostgresError) as empty_secret:
        await admin.execute("select set_whatsapp_secrets('', 'token')")
    await admin.execute("select set_whatsapp_secrets('secret', 'token')")
    rollback = db.transaction()
    await rollback.start()
    await db.execute("alter role anon rename to pgmedia_test_no_anon")
    with pytest.raises(asyncpg.PostgresError) as without_anon:
        await db.execute("select open_whatsapp_webhook()")
    await rollback.rollback()

    assert without_secrets.value.sqlstate == without_anon.value.sqlstate == "MD053"
    assert empty_secret.value.sqlstate == "MD052"


async def test_only_operators_open_and_close(admin: Any, connect: Connect) -> None:
    del admin
    for role in ("anon", "media_client", "media_poller"):
        reader = await connect(role)
        for call in (
            "select open_whatsapp_webhook()",
            "select close_whatsapp_webhook()",
            "select set_whatsapp_secrets('a', 'b')",
            "select replay_whatsapp_webhook(1)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(call)
