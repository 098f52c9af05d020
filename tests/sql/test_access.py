"""Each role logs in and tries every table and every function, on databases made in several ways."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from tests.access import (
    CLIENT,
    CREATE_API_ROLES,
    DEFAULT_PRIVILEGES,
    NOBODY,
    OPERATOR,
    POLLER,
    REPORTS,
    ROLES,
    SHARED,
    UNREADABLE,
    denied,
    functions,
    relations,
)
from tests.helpers import as_user, create_login

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
PASSWORD = "pgmedia-test-password"
RIGHTS = ("select", "insert", "update", "delete", "truncate", "references", "trigger")

AS_AN_EARLIER_VERSION_LEFT_IT = """
grant execute on function set_media_project_url to media_poller;
grant execute on function claim_media_jobs to media_client;
do $$
declare
    v_signature text;
begin
    for v_signature in
        select f.signature
        from media_schema_functions f
        where f.signature not like all (array['%set_media_project_url(%', '%claim_media_jobs(%'])
    loop
        begin
            execute format('drop function %s', v_signature); -- so it is made anew
        exception when dependent_objects_still_exist then
            null; -- a trigger's: replaced
        end;
    end loop;
end $$;
"""


@pytest.fixture(params=["", "with Supabase's default privileges"])
def defaults(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=["", "after an upgrade"])
async def owner(
    request: pytest.FixtureRequest, empty_database: str, defaults: bool
) -> AsyncIterator[Any]:
    """The owner of a database with all roles, and a login in each of them."""
    connection: Any = await asyncpg.connect(empty_database)
    await connection.execute(CREATE_API_ROLES + DEFAULT_PRIVILEGES * defaults)
    migrated = [await asyncio.to_thread(migrate, SecretStr(empty_database))]
    if request.param:
        await connection.execute(AS_AN_EARLIER_VERSION_LEFT_IT)
        migrated.append(await asyncio.to_thread(migrate, SecretStr(empty_database)))
    assert [one.differences for one in migrated] == [[]] * len(migrated)
    for role in ROLES:
        await connection.execute(create_login(login(role), PASSWORD, role))
    yield connection
    connection.terminate()


def login(role: str) -> str:
    return f"pgmedia_test_as_{role}"


async def log_in(database: str, role: str) -> Any:
    return await asyncpg.connect(as_user(database, login(role), PASSWORD))


def test_every_function_has_been_given_its_place() -> None:
    assert not NOBODY & (OPERATOR | POLLER)
    assert SHARED == (OPERATOR & POLLER)


async def test_each_role_calls_its_functions_and_no_other(owner: Any, empty_database: str) -> None:
    everything = await functions(owner)
    assert set(everything) == OPERATOR | POLLER | NOBODY

    for role, expected in ROLES.items():
        granted = {
            name
            for name, function in everything.items()
            if await owner.fetchval(
                "select has_function_privilege($1, $2, 'execute')", login(role), function.signature
            )
        }
        assert granted == expected, role

        acting = await log_in(empty_database, role)
        carried_out = {
            name
            for name, function in everything.items()
            if not await denied(acting, function.call)  # by itself, or by anything that it calls
        }
        await acting.close()
        assert carried_out == expected, role


async def test_operators_read_the_tables_and_nobody_writes_them(
    owner: Any, empty_database: str
) -> None:
    tables, views = await relations(owner, "rpf"), await relations(owner, "vm")
    sequences = await relations(owner, "S")
    assert len(tables) > len(UNREADABLE)
    assert sequences

    for role in ROLES:
        acting = await log_in(empty_database, role)
        for table in tables + views:
            readable = (role == "media_admin" and table not in UNREADABLE) or (
                role == "media_reader" and table in REPORTS
            )
            held = {
                right
                for right in RIGHTS
                if await owner.fetchval(
                    "select has_table_privilege($1, $2, $3)", login(role), table, right
                )
            }
            assert held == ({"select"} if readable else set()), (role, table)
            assert await denied(acting, f"select * from {table}") != readable, (role, table)
            if table in views:
                continue  # Postgres looks at rights last: none of ours can be written to
            columns = await owner.fetch(
                "select attname from pg_attribute"
                " where attrelid = $1::regclass and attnum > 0 and not attisdropped",
                table,
            )
            for (column,) in columns:
                for statement in (
                    f'update {table} set "{column}" = default where false',
                    f'insert into {table} ("{column}") values (default)',
                ):
                    assert await denied(acting, statement), (role, statement)
            for statement in (
                f"insert into {table} default values",
                f"delete from {table} where false",
                f"truncate {table} cascade",
                f"create trigger x after delete on {table} execute function refuse_audit_change()",
            ):
                assert await denied(acting, statement), (role, statement)
        for sequence in sequences:
            for statement in (
                f"select nextval('{sequence}')",
                f"select setval('{sequence}', 1)",
                f"select * from {sequence}",
            ):
                assert await denied(acting, statement), (role, statement)
        assert await denied(acting, "create table mine (id integer)"), role
        await acting.close()


async def test_operators_see_the_rows(db: Any, operator: str) -> None:
    await db.execute("insert into messages (whatsapp_message_id) values ('wamid.1')")
    acting: Any = await asyncpg.connect(operator)

    assert await acting.fetchval("select count(*) from messages") == 1
    assert await acting.fetchval("select count(*) from media_formats") == 23
    await acting.close()


def test_the_reference_names_what_clients_and_operators_may_call() -> None:
    clients, _, operators = (
        REFERENCE.read_text().partition("For any client ")[2].partition("For operators ")
    )
    first_column = re.compile(r"^\| (`.*?`) \|", re.MULTILINE)

    def named(table: str) -> set[str]:
        cells = "".join(first_column.findall(table.partition("Every function")[0]))
        return set(re.findall(r"`(\w+)\(", cells))

    assert named(clients) == CLIENT
    assert named(operators) == OPERATOR - CLIENT - {"get_media_bucket_policy"}
