"""`pgmedia migrate` and yoyo: from nothing, back, again, killed, and two at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import MigrationError, rollback, schema_folder
from tests.helpers import (
    as_user,
    begin_upload,
    claim,
    create_login,
    eventually,
    finish_upload,
    queue_media,
    sha256,
    sql,
)
from tests.migrations import (
    OLDER_BOT,
    OTHERS_CONNECTED,
    catalog,
    difference_lines,
    migrated,
    yoyo,
)

MIGRATIONS = sorted(
    file.stem
    for file in (schema_folder() / "migrations").glob("*.sql")
    if ".rollback" not in file.name
)


ROLES = ["media_admin", "media_client", "media_poller", "media_reader"]


def test_an_empty_database_gets_everything(empty_database: str) -> None:
    first = migrated(empty_database)

    assert first.applied == MIGRATIONS
    assert first.differences == []


def test_migrating_again_changes_nothing(empty_database: str) -> None:
    migrated(empty_database)
    held = catalog(empty_database)
    marked = sql(empty_database, "select * from _yoyo_migration order by 1")
    logged = sql(empty_database, "select * from _yoyo_log order by 1")

    again = migrated(empty_database)

    assert (again.applied, again.differences) == ([], [])
    assert catalog(empty_database) == held
    assert sql(empty_database, "select * from _yoyo_migration order by 1") == marked
    assert sql(empty_database, "select * from _yoyo_log order by 1") == logged
    assert sql(empty_database, "select * from yoyo_lock") == []


async def test_no_migration_leaves_a_connection_open(empty_database: str) -> None:
    await asyncio.to_thread(migrated, empty_database)
    await asyncio.to_thread(rollback, SecretStr(empty_database))

    # the server takes a moment to see that a client has gone
    await eventually(lambda: sql(empty_database, OTHERS_CONNECTED) == [(0,)])


def test_a_rollback_leaves_nothing_behind(empty_database: str) -> None:
    before = catalog(empty_database)
    migrated(empty_database)
    assert catalog(empty_database) != before

    rollback(SecretStr(empty_database))

    assert catalog(empty_database) == before
    assert sql(empty_database, "select * from _yoyo_migration") == []
    assert difference_lines(empty_database) == []


def test_a_rollback_with_work_in_the_tables(database: str) -> None:
    async def work() -> None:
        db: Any = await asyncpg.connect(database)
        media = await queue_media(db)
        token = (await claim(db))[media]
        begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
        await finish_upload(db, media, token, begun["object_id"])
        await queue_media(db)
        await db.close()

    asyncio.run(work())

    rollback(SecretStr(database))

    assert not [line for line in catalog(database) if "media" in line]


def test_a_role_goes_with_the_last_database_that_uses_it(
    empty_database: str, database: str
) -> None:
    migrated(empty_database)
    rollback(SecretStr(empty_database))

    assert roles(database) == ROLES  # `database` still uses them
    assert difference_lines(database) == []
    rollback(SecretStr(database))
    used = (
        "select distinct r.rolname::text from pg_roles r"
        " join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid"
        " where r.rolname = any (%s) order by 1"
    )
    in_use = [role for (role,) in sql(database, used, ROLES)]
    assert roles(database) == in_use


def roles(dsn: str) -> list[str]:
    rows = sql(dsn, "select rolname from pg_roles where rolname = any (%s) order by 1", ROLES)
    return [role for (role,) in rows]


@pytest.fixture
def percent_user(server: str, empty_database: str) -> Any:
    """DSN of the empty database as its owner's equal whose password needs percent-escapes."""
    user, password = f"pgmedia_{uuid4().hex[:8]}", "p@s%s/w:rd"
    sql(server, f"create role {user} superuser login password '{password}'")
    yield as_user(empty_database, user, password).replace("/w", "%2Fw")
    sql(server, f"reassign owned by {user} to current_user")
    sql(empty_database, f"drop owned by {user} cascade")
    sql(server, f"drop role {user}")


def test_the_command_yoyo_does_the_same(empty_database: str) -> None:
    before = catalog(empty_database)

    yoyo(empty_database, "apply")

    by_yoyo = catalog(empty_database)
    again = migrated(empty_database)
    assert (again.applied, again.differences) == ([], [])
    assert catalog(empty_database) == by_yoyo
    yoyo(empty_database, "rollback", "--all")
    assert catalog(empty_database) == before


def test_a_password_with_percent_escapes(percent_user: str) -> None:
    assert "%40" in percent_user
    yoyo(percent_user, "apply")

    assert difference_lines(percent_user) == []
    yoyo(percent_user, "rollback", "--all")


def test_the_scheme_postgres_is_understood(empty_database: str) -> None:
    dsn = empty_database.replace("postgresql://", "postgres://")
    yoyo(dsn, "apply")

    assert difference_lines(dsn) == []


def test_a_database_that_takes_no_writes_is_said(database: str) -> None:
    name = database.rpartition("/")[2]
    sql(database, f'alter database "{name}" set default_transaction_read_only = on')

    with pytest.raises(MigrationError, match="takes no writes"):
        migrated(database)


def test_a_login_that_does_not_own_the_schema_is_told_who_does(database: str) -> None:
    sql(database, create_login("nobody_here", "secret", "media_admin"))

    with pytest.raises(MigrationError, match=r"(?s)permission denied.*login that owns the schema"):
        migrated(as_user(database, "nobody_here", "secret"))


async def test_a_killed_migration_says_what_to_do(empty_database: str) -> None:
    sql(empty_database, OLDER_BOT)
    before = catalog(empty_database)
    blocker: Any = await asyncpg.connect(empty_database)
    blocking = blocker.transaction()
    await blocking.start()
    await blocker.execute("lock table media in share row exclusive mode")
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "migrate", "--yes",
        env={"PATH": os.environ["PATH"], "DATABASE_URL": empty_database},
    )  # fmt: skip
    watcher: Any = await asyncpg.connect(empty_database)
    waits = (
        "select exists (select from pg_locks where not granted and relation = 'media'::regclass)"
    )
    await eventually(lambda: watcher.fetchval(waits))
    victim.kill()
    assert await victim.wait() == -signal.SIGKILL
    await blocking.rollback()
    await blocker.close()
    await eventually(lambda: left_alone(watcher))
    await watcher.close()

    state = await asyncio.to_thread(locked_out, empty_database)

    assert "`yoyo break-lock`" in state
    assert str(victim.pid) in state
    assert catalog(empty_database) == before
    yoyo(empty_database, "break-lock")
    yoyo(empty_database, "apply")
    assert difference_lines(empty_database) == []


async def left_alone(connection: Any) -> bool:
    return await connection.fetchval(OTHERS_CONNECTED) == 0


def locked_out(dsn: str) -> str:
    with pytest.raises(MigrationError) as caught:
        migrated(dsn)
    return str(caught.value)


async def test_a_migration_does_not_wait_for_ever(empty_database: str) -> None:
    sql(empty_database, OLDER_BOT)
    before = catalog(empty_database)
    blocker: Any = await asyncpg.connect(empty_database)
    async with blocker.transaction():
        await blocker.execute("lock table media in share row exclusive mode")

        message = await asyncio.to_thread(locked_out, empty_database)

    await blocker.close()
    assert message == "canceling statement due to lock timeout"
    assert catalog(empty_database) == before
    assert difference_lines(empty_database) == []


async def test_two_migrations_at_once(empty_database: str) -> None:
    one, two = await asyncio.gather(
        *(asyncio.to_thread(migrated, empty_database) for _ in range(2))
    )

    assert sorted([len(one.applied), len(two.applied)]) == [0, len(MIGRATIONS)]
    assert one.differences == two.differences == []
