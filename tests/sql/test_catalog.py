"""What the catalog says: functions and their files, rights by role, indexes the claims rely on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from poller.migrate import migrate, schema_folder
from tests.conftest import Connect

COMMENT = re.compile(r"^comment on function public\.(\w+(?:\([\w, ]+\))?) is\b", re.MULTILINE)


def named_in(path: Path) -> str:
    """What the file calls its function: by name, or where the name is overloaded by signature."""
    (name,) = COMMENT.findall(path.read_text(encoding="utf-8"))
    assert name.partition("(")[0] == path.stem
    return name


FILES = {named_in(path): path for path in sorted((schema_folder() / "functions").rglob("*.sql"))}
ROLES = ("media_client", "media_poller", "media_admin")
API_ROLES = ("anon", "authenticated", "service_role")
DENIED = "42501"


def text(name: str) -> str:
    return FILES[name].read_text(encoding="utf-8")


def granted_to(name: str) -> set[str]:
    """The roles that the file of a function lets execute it."""
    pattern = r"^grant execute on function public\.(\w+) to ([\w, ]+);$"
    grants = re.findall(pattern, text(name), re.M)
    assert {function for function, _ in grants} <= {name}
    return {role for _, roles in grants for role in roles.split(", ")}


async def functions(db: Any) -> dict[str, Any]:
    """Every function of the schema, by name, or where the name is overloaded by signature."""
    rows = await db.fetch(
        "select p.prosecdef, p.proname || case when count(*) over (partition by p.proname) > 1"
        "     then format('(%s)', oidvectortypes(p.proargtypes)) else '' end as name,"
        " p.proconfig, p.proacl,"
        " obj_description(p.oid, 'pg_proc') as comment,"
        " format('select %s(%s)', p.oid::regproc, (select string_agg(format('%s::%s',"
        "     case when p.proisstrict then quote_literal(0) else 'null' end, t::regtype),"
        "     ', ' order by o)"
        "     from unnest(p.proargtypes) with ordinality a (t, o))) as call"
        " from pg_proc p where p.pronamespace = 'public'::regnamespace order by p.proname"
    )
    return {row["name"]: row for row in rows}


async def relations(db: Any, kind: str) -> list[str]:
    rows = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        ' and relkind = $1::"char" order by relname',
        kind.encode(),
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("name", FILES)
def test_the_file_of_a_function(name: str) -> None:
    content = text(name)

    created = re.findall(r"^create or replace function public\.(\w+)\(", content, re.M)
    assert created == [FILES[name].stem]
    assert len(re.findall(r"^(?:volatile|stable|immutable)$", content, re.M)) == 1
    assert len(re.findall(r"^set search_path = ''$", content, re.M)) == 1
    assert content.startswith("-- ")
    for line in re.findall(r"^security definer.*$", content, re.M):
        assert re.fullmatch(r"security definer -- .{10,}", line)
    if granted_to(name):
        assert "\nsecurity definer" in content
        assert granted_to(name) <= set(ROLES)


async def test_every_function_has_a_file_and_every_file_its_function(db: Any) -> None:
    assert set(await functions(db)) == set(FILES)


async def test_every_function_is_commented_pinned_and_closed(db: Any) -> None:
    for name, row in (await functions(db)).items():
        assert row["comment"], name
        assert 'search_path=""' in row["proconfig"], name
        open_to = await db.fetchval(
            "select count(*) from aclexplode($1::aclitem[]) where grantee = 0", row["proacl"]
        )
        assert row["proacl"] is not None, name
        assert open_to == 0, name
        assert row["prosecdef"] == ("\nsecurity definer" in text(name)), name


async def test_every_table_has_row_level_security(db: Any) -> None:
    rows = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind = 'r' and not relrowsecurity"
    )

    assert {row[0] for row in rows} == {
        "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock",
    }  # fmt: skip


async def test_every_table_of_ours_has_a_comment(db: Any) -> None:
    rows = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind = 'r' and obj_description(oid, 'pg_class') is null"
    )

    assert {row[0] for row in rows if "yoyo" not in row[0]} == set()


async def denied(connection: Any, statement: str) -> bool:
    """Is the statement refused for want of a right? Whatever it does is taken back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return error.sqlstate == DENIED
    else:
        return False
    finally:
        await transaction.rollback()


async def callable_by(connection: Any, all_functions: dict[str, Any]) -> set[str]:
    """The functions that do not refuse a call with nulls, themselves or anything they call."""
    return {
        name for name, row in all_functions.items() if not await denied(connection, row["call"])
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_calls_what_its_files_grant_and_nothing_else(
    connect: Connect, db: Any, role: str
) -> None:
    everything = await functions(db)
    expected = {name for name in FILES if role in granted_to(name)}
    assert expected

    assert await callable_by(await connect(role), everything) == expected


@pytest.mark.parametrize("role", ROLES)
async def test_only_operators_read_tables_and_nobody_writes_them(
    connect: Connect, db: Any, role: str
) -> None:
    acting = await connect(role)
    for table in await relations(db, "r"):
        readable = role == "media_admin" and "yoyo" not in table and table != "media_secrets"
        assert await denied(acting, f"select * from {table}") != readable, table
        column = await db.fetchval(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum = 1", table
        )
        for statement in (
            f"insert into {table} default values",
            f"update {table} set {column} = default where false",
            f"delete from {table} where false",
            f"truncate {table} cascade",
            f"create trigger x after delete on {table} execute function refuse_audit_change()",
        ):
            assert await denied(acting, statement), statement
    for sequence in await relations(db, "S"):
        assert await denied(acting, f"select nextval('{sequence}')")
    assert await denied(acting, "create table mine (id integer)")


async def test_operators_see_the_rows(connect: Connect, db: Any) -> None:
    await db.execute("insert into messages (whatsapp_message_id) values ('wamid.1')")

    operator = await connect("media_admin")

    assert await operator.fetchval("select count(*) from messages") == 1
    assert await operator.fetchval("select count(*) from media_formats") == 23


SUPABASE_ROLES = """
do $$
declare
    v_role text;
begin
    foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
        begin
            execute format('create role %I nologin', v_role);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end $$;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
"""


@pytest.fixture
async def supabase(empty_database: str) -> Any:
    """A database with the API roles and default privileges of Supabase, and then pgmedia."""
    connection: Any = await asyncpg.connect(empty_database)
    await connection.execute(SUPABASE_ROLES)
    migrated = migrate(SecretStr(empty_database))
    assert migrated.differences == []
    yield connection
    connection.terminate()


@pytest.mark.parametrize("again", [False, True])
async def test_the_api_roles_of_supabase_are_kept_out(
    supabase: Any, empty_database: str, again: bool
) -> None:
    if again:
        migrate(SecretStr(empty_database))
    everything = await functions(supabase)
    tables, sequences = await relations(supabase, "r"), await relations(supabase, "S")
    operators = {name for name in FILES if "media_admin" in granted_to(name)}

    for role in API_ROLES:
        await supabase.execute(f"set role {role}")
        expected = operators if role == "service_role" else set[str]()
        assert await callable_by(supabase, everything) == expected, role
        for table in tables:
            assert await denied(supabase, f"select * from {table}"), (role, table)
            assert await denied(supabase, f"delete from {table} where false"), (role, table)
            assert await denied(supabase, f"truncate {table} cascade"), (role, table)
        for sequence in sequences:
            for call in (f"nextval('{sequence}')", f"setval('{sequence}', 1)"):
                assert await denied(supabase, f"select {call}"), (role, call)
            assert await denied(supabase, f"select * from {sequence}"), (role, sequence)
        await supabase.execute("reset role")


PICKS = {
    "claim_media_jobs": r"cross join lateral \(\n( +select q\.id.*?)\n        \) d",
    "claim_media_deletions": r"v_ids := array\((.*?)\n    \);",
}


def inner_select(name: str) -> str:
    """The select of a claim that picks the rows (of one source), as its file has it."""
    found = re.search(PICKS[name], text(name), re.S)
    assert found
    pick = found[1].replace("public.", "").replace("s.source", "'whatsapp:1'")
    return re.sub(r"limit (least|coalesce)\(.*?\)", "limit $1", pick)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


FILL = {
    "claim_media_jobs": """
        insert into messages (whatsapp_message_id) values ('wamid.1');
        insert into media (message_id, whatsapp_media_id)
        select m.id, n::text from messages m, generate_series(1, 100000) n;
        insert into media_processing_queue (id, message_id, whatsapp_media_id, source, priority,
            due_at, max_attempts)
        select id, message_id, whatsapp_media_id, 'whatsapp:' || random_number % 3,
            1 + random_number % 10, now() - random_number * interval '1 second', 5
        from (select *, (random() * 100000)::integer as random_number from media) m;
    """,
    "claim_media_deletions": """
        insert into media_deletion_queue (bucket_name, storage_path, reason, due_at)
        select 'images', n::text, 'unused', now() - random() * interval '1 day'
        from generate_series(1, 100000) n;
    """,
}
INDEXES = {
    "claim_media_jobs": "media_queue_due_idx",
    "claim_media_deletions": "media_deletion_queue_due_idx",
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("analyzed", ["before", "after"])
@pytest.mark.parametrize("paused", [False, True])
async def test_a_claim_reads_a_deep_queue_in_the_order_of_its_index(
    db: Any, name: str, analyzed: str, paused: bool
) -> None:
    """100,000 rows are due: no sort, and no more rows are looked at than are claimed."""
    if analyzed == "before":
        await db.execute("analyze")
    await db.execute(FILL[name])
    if analyzed == "after":
        await db.execute("analyze")
    if paused:
        await db.execute(
            "select pause_media_source('whatsapp:' || n) from generate_series(10, 300) n"
        )
    await db.execute(f"prepare claim (integer) as {inner_select(name)}")

    for mode in ("force_custom_plan", "force_generic_plan"):
        await db.execute(f"set plan_cache_mode = {mode}")
        answer = await db.fetchval("explain (analyze, timing off, format json) execute claim (10)")
        plan = nodes(json.loads(answer)[0]["Plan"])

        assert not [node for node in plan if "Sort" in node["Node Type"]], answer
        scans = [node for node in plan if node.get("Index Name") == INDEXES[name]]
        assert len(scans) == 1, answer
        assert scans[0]["Actual Rows"] <= 11


def test_the_functions_are_those_of_this_checkout() -> None:
    assert schema_folder() == Path(__file__).parents[2] / "db"
