"""What the catalog says: functions and their files, indexes the claims rely on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import poller
from poller.migrate import schema_folder
from tests.access import ROLES, functions

COMMENT = re.compile(r"^comment on function public\.(\w+(?:\([\w, ]+\))?) is\b", re.MULTILINE)


def named_in(path: Path) -> str:
    """What the file calls its function: by name, or where the name is overloaded by signature."""
    (name,) = COMMENT.findall(path.read_text(encoding="utf-8"))
    assert name.partition("(")[0] == path.stem
    return name


FILES = {named_in(path): path for path in sorted((schema_folder() / "functions").rglob("*.sql"))}


def text(name: str) -> str:
    return FILES[name].read_text(encoding="utf-8")


def granted_to(name: str) -> set[str]:
    """The roles that the file of a function lets execute it."""
    pattern = r"^grant execute on function public\.(\w+) to ([\w, ]+);$"
    grants = re.findall(pattern, text(name), re.M)
    assert {function for function, _ in grants} <= {name}
    return {role for _, roles in grants for role in roles.split(", ")}


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
    given = {
        role for role, allowed in ROLES.items() if role.startswith("media_") and name in allowed
    }
    assert granted_to(name) == given


async def test_every_function_has_a_file_and_every_file_its_function(db: Any) -> None:
    assert set(await functions(db)) == set(FILES)


async def test_every_function_is_commented_pinned_and_closed(db: Any) -> None:
    for name, function in (await functions(db)).items():
        row = function.row
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


PICKS = {
    "pick_media_jobs": r"else\n.*?cross join lateral \(\n( +select q\.id.*?)\n +\) d",
    "claim_media_deletions": r"v_ids := array\((.*?)\n    \);",
}


def inner_select(name: str) -> str:
    """The select of a claim that picks the rows (of one source), as its file has it."""
    found = re.search(PICKS[name], text(name), re.S)
    assert found
    pick = found[1].replace("public.", "").replace("s.source", "'whatsapp:1'")
    pick = pick.replace("p_poller", "'poller-1'").replace("v_passed", "'{}'::uuid[]")
    return re.sub(r"limit (least|coalesce)\(.*?\)", "limit $1", pick)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


FILL = {
    "pick_media_jobs": """
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
    "pick_media_jobs": "media_queue_due_idx",
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


def test_nobody_but_poller_db_calls_sql() -> None:
    """yoyo's own doings in poller/migrate.py and the sandbox apart."""
    package = Path(poller.__file__).parent
    call = re.compile(r"\b(?:select|call|from)\s+public\.|\bfrom\s+pg_\w+", re.IGNORECASE)
    others = [
        path
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in {"db", "sandbox", "migrate.py"}
    ]
    assert len(others) > 20
    assert [path.name for path in others if call.search(path.read_text())] == []
    assert call.search((package / "db" / "jobs.py").read_text())
