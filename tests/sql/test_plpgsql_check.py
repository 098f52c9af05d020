"""Every function body is sound, says plpgsql_check, or Postgres alone where it is missing."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

FUNCTIONS = """
    select p.oid, p.oid::regprocedure::text as signature, pg_get_functiondef(p.oid) as definition,
        l.lanname as language, coalesce(t.tgrelid, 0) as relation, t.tgoldtable::text as old_table,
        t.tgnewtable::text as new_table
    from pg_proc p
    join pg_language l on l.oid = p.prolang
    left join pg_trigger t on t.tgfoid = p.oid
    where p.pronamespace = 'public'::regnamespace and not exists (
        select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    order by signature
"""


async def has_plpgsql_check(db: Any) -> bool:
    return await db.fetchval(
        "select exists (select from pg_available_extensions where name = 'plpgsql_check')"
    )


async def complaints(db: Any, function: Any) -> list[str]:
    """What plpgsql_check has to say about a function."""
    rows = await db.fetch(
        "select concat_ws(' ', lineno, statement, level, message, detail)"
        " from plpgsql_check_function_tb($1::oid, $2::oid, oldtable => $3, newtable => $4,"
        " all_warnings => true)",
        function["oid"], function["relation"], function["old_table"], function["new_table"],
    )  # fmt: skip
    return [f"{function['signature']}: {row[0]}" for row in rows]


async def test_no_function_has_anything_to_complain_about(db: Any) -> None:
    functions = await db.fetch(FUNCTIONS)
    assert len(functions) > 40
    found: list[str] = []
    await db.execute("set check_function_bodies = on")
    for function in functions:
        await db.execute(function["definition"])  # parses; sql functions are analysed whole
    if await has_plpgsql_check(db):
        await db.execute("create extension plpgsql_check")
        for function in functions:
            if function["language"] == "plpgsql":
                found += await complaints(db, function)

    assert found == []


async def test_a_broken_function_would_be_found(db: Any) -> None:
    await db.execute("set check_function_bodies = on")
    with pytest.raises(asyncpg.PostgresError):
        await db.execute(
            "create function broken() returns void language sql begin atomic select nothing; end"
        )
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await db.execute("create function broken() returns void language plpgsql as 'begin en'")
    if await has_plpgsql_check(db):
        await db.execute("create extension plpgsql_check")
        await db.execute(
            "create function broken() returns void language plpgsql"
            " as 'declare v_unused text; begin perform nothing from messages; end'"
        )
        functions = await db.fetch(FUNCTIONS)
        broken = next(row for row in functions if row["signature"] == "broken()")
        assert await complaints(db, broken)
