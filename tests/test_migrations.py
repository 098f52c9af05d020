"""`pgmedia migrate` and yoyo: from nothing, from an older bot, back, and again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

import poller.migrate
from poller.migrate import MigrationError, migrate, rollback, schema_folder
from tests.helpers import (
    as_user,
    begin_upload,
    claim,
    eventually,
    finish_upload,
    pgmedia,
    queue_media,
    run_module,
    sha256,
    sql,
    status,
)

CHECKOUT = Path(__file__).resolve().parents[1]
MIGRATIONS = sorted(
    file.stem
    for file in (schema_folder() / "migrations").glob("*.sql")
    if ".rollback" not in file.name
)
ROLES = ["media_admin", "media_client", "media_poller"]

# All that a migration could leave behind in schema public, apart from yoyo's own tables.
CATALOG = """
with relations as (
    select c.*
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname !~ '^_?yoyo_'
)
select concat_ws(' ', 'relation', r.relkind, r.relname, r.relowner::regrole, r.relrowsecurity,
    r.relacl)
from relations r
union all
select concat_ws(' ', 'column', r.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attacl)
from relations r
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
union all
select concat_ws(' ', 'constraint', r.relname, c.conname, c.convalidated,
    pg_get_constraintdef(c.oid))
from relations r
join pg_constraint c on c.conrelid = r.oid
union all
select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid))
from relations r
join pg_index i on i.indrelid = r.oid
union all
select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid))
from relations r
join pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
union all
select concat_ws(' ', 'policy', r.relname, p.polname)
from relations r
join pg_policy p on p.polrelid = r.oid
union all
select concat_ws(' ', 'comment', r.relname, d.objsubid, d.description)
from relations r
join pg_description d on d.objoid = r.oid and d.classoid = 'pg_class'::regclass
union all
select concat_ws(' ', 'function', p.oid::regprocedure, p.proowner::regrole, p.proacl, md5(p.prosrc))
from pg_proc p
where p.pronamespace = 'public'::regnamespace
union all
select concat_ws(' ', 'type', t.typname)
from pg_type t
where t.typnamespace = 'public'::regnamespace and t.typname !~ '^_*yoyo_'
union all
select concat_ws(' ', 'grant on schema', x.privilege_type, x.grantee::regrole)
from pg_namespace n
cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
where n.nspname = 'public'
union all
select concat_ws(' ', 'default privileges', d.defaclacl)
from pg_default_acl d
order by 1
"""

OTHERS_CONNECTED = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)

OLDER_BOT = """
create table messages (
    id uuid primary key default gen_random_uuid(),
    whatsapp_message_id text unique,
    from_number text,
    message_type varchar(20),
    content text,
    created_at timestamptz default now()
);
create table media (
    id uuid primary key default gen_random_uuid(),
    message_id uuid references messages (id),
    media_type varchar(20),
    mime_type text,
    file_size integer,
    storage_path text,
    created_at timestamptz default now()
);
grant select, insert on messages, media to public;
insert into messages (whatsapp_message_id, from_number, message_type, content)
select 'wamid.' || n, '4915112345678', 'image', 'hello ' || n from generate_series(1, 3) n;
insert into media (message_id, media_type, mime_type, file_size, storage_path)
select id, 'image', 'image/jpeg', 1000, 'old/' || whatsapp_message_id from messages;
"""
OLD_MESSAGES = (
    "select id, whatsapp_message_id, from_number, message_type, content, created_at"
    " from messages where whatsapp_message_id like 'wamid._' order by 2"
)
OLD_MEDIA = (
    "select id, message_id, media_type, mime_type, file_size, storage_path, created_at"
    " from media where storage_path like 'old/%' order by 6"
)


def catalog(dsn: str) -> list[str]:
    return [line for (line,) in sql(dsn, CATALOG)]


def migrated(dsn: str) -> poller.migrate.Migrated:
    return migrate(SecretStr(dsn))


def difference_lines(dsn: str) -> list[str]:
    return migrated(dsn).differences


@pytest.fixture
def db_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of db/ to change, which `migrate` takes for its own."""
    copy = tmp_path / "db"
    shutil.copytree(schema_folder(), copy)
    monkeypatch.setattr(poller.migrate, "schema_folder", lambda: copy)
    return copy


def change_file(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_an_empty_database_gets_everything(empty_database: str) -> None:
    first = migrated(empty_database)

    assert first.applied == MIGRATIONS
    assert first.differences == []


def test_migrating_again_changes_nothing(empty_database: str) -> None:
    migrated(empty_database)
    held = catalog(empty_database)
    marked = sql(empty_database, "select * from _yoyo_migration order by 1")

    again = migrated(empty_database)

    assert (again.applied, again.differences) == ([], [])
    assert catalog(empty_database) == held
    assert sql(empty_database, "select * from _yoyo_migration order by 1") == marked
    assert sql(empty_database, "select * from yoyo_lock") == []


def test_no_migration_leaves_a_connection_open(empty_database: str) -> None:
    migrated(empty_database)
    rollback(SecretStr(empty_database))

    assert sql(empty_database, OTHERS_CONNECTED) == [(0,)]


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


def yoyo(dsn: str, *arguments: str) -> None:
    done = run_module("yoyo", *arguments, cwd=CHECKOUT, DATABASE_URL=dsn)
    assert (done.returncode, done.stderr) == (0, "")


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


def test_a_changed_function_needs_no_migration(database: str, db_folder: Path) -> None:
    change_file(
        db_folder / "functions/api/get_media_storage_stats.sql",
        ("as $$\n", "as $$\n    -- as it is now\n"),
    )

    done = migrated(database)

    assert done.applied == []
    assert len(done.differences) == 2  # schema.txt tells of the older body
    source = "select prosrc from pg_proc where proname = 'get_media_storage_stats'"
    ((text,),) = sql(database, source)
    assert "as it is now" in text


def test_a_function_without_a_file_goes(database: str, db_folder: Path) -> None:
    (db_folder / "functions/api/check_media_exists.sql").unlink()

    migrated(database)

    assert sql(database, "select to_regprocedure('check_media_exists(text)')") == [(None,)]


def test_a_changed_signature_replaces_the_old_one(database: str, db_folder: Path) -> None:
    file = db_folder / "functions/api/check_media_exists.sql"
    change_file(file, ("exists(content_hash text)", "exists(content_hash text, x int)"))

    migrated(database)

    assert functions_named("check_media_exists", database) == ["check_media_exists(text,integer)"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("stored_at timestamptz", "stored_at text"), ("(content_hash text)", "(p_hash text)")],
    ids=["columns", "name of an argument"],
)
def test_what_cannot_be_replaced_is_made_anew(
    database: str, db_folder: Path, old: str, new: str
) -> None:
    change_file(db_folder / "functions/api/check_media_exists.sql", (old, new))

    migrated(database)

    ((described,),) = sql(
        database,
        "select pg_get_function_arguments(oid) || pg_get_function_result(oid)"
        " from pg_proc where proname = 'check_media_exists'",
    )
    assert new.strip("()") in described
    grants = [line for line in difference_lines(database) if "grant" in line]
    assert grants == []


def test_an_overload_of_the_bot_is_left_alone(empty_database: str, db_folder: Path) -> None:
    own = "create function check_media_exists({}) returns integer language sql as 'select 1'"
    sql(empty_database, own.format("integer"))
    assert difference_lines(empty_database) == []
    sql(empty_database, own.format("bigint"))
    assert difference_lines(empty_database) == []
    (db_folder / "functions/api/check_media_exists.sql").unlink()
    migrated(empty_database)

    named = functions_named("check_media_exists", empty_database)
    assert named == ["check_media_exists(bigint)", "check_media_exists(integer)"]
    rollback(SecretStr(empty_database))
    assert functions_named("check_media_exists", empty_database) == named


def test_a_function_of_the_bot_is_not_replaced(empty_database: str) -> None:
    sql(
        empty_database,
        "create function delete_media(id uuid) returns integer language sql as 'select 1'",
    )

    with pytest.raises(MigrationError, match='function "delete_media" already exists'):
        migrated(empty_database)

    ((source,),) = sql(empty_database, "select prosrc from pg_proc where proname = 'delete_media'")
    assert source == "select 1"


def functions_named(name: str, dsn: str) -> list[str]:
    named = "select oid::regprocedure::text from pg_proc where proname = %s order by 1"
    rows = sql(dsn, named, name)
    return [signature for (signature,) in rows]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("drop index media_queue_due_idx", ["missing: CREATE INDEX media_queue_due_idx"]),
        (
            "alter table media_settings alter column lease drop not null",
            [
                "missing: column media_settings.lease interval not null",
                "unexpected: column media_settings.lease interval default",
            ],
        ),
        (
            "alter table media_objects alter column stored_size type numeric",
            ["missing: column media_objects.stored_size bigint",
             "unexpected: column media_objects.stored_size numeric"],
        ),
        ("alter table media drop column caption", ["missing: column media.caption"]),
        (
            "alter table media_objects disable row level security",
            ["missing: table media_objects with", "unexpected: table media_objects"],
        ),
        ("grant select on media_objects to public", ["unexpected: grant select on media_objects"]),
        (
            "alter table media_buckets drop constraint media_buckets_file_size_limit_check",
            ["missing: constraint media_buckets_file_size_limit_check"],
        ),
        (
            "alter trigger release_media_objects on media rename to another",
            ["unexpected: CREATE TRIGGER another AFTER DELETE"],
        ),
        (
            "alter table media drop constraint pgmedia_media_message_id_whatsapp_media_id_key",
            [
                "missing: CREATE UNIQUE INDEX pgmedia_media_message_id_whatsapp_media_id_key",
                "missing: constraint pgmedia_media_message_id_whatsapp_media_id_key on media",
            ],
        ),
        (
            "drop policy pgmedia_admin_reads on media_pauses",
            ["missing: policy pgmedia_admin_reads on media_pauses"],
        ),
        (
            "drop index pgmedia_media_object_id_idx",
            ["missing: CREATE INDEX pgmedia_media_object_id_idx"],
        ),
        (
            "alter table messages disable row level security; grant all on messages to public",
            ["missing: table messages with row-level", "unexpected: grant select on messages"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_verification_names_what_differs(database: str, change: str, named: list[str]) -> None:
    sql(database, change)

    found = difference_lines(database)

    for words in named:
        assert [line for line in found if line.startswith(words)], found


def test_functions_and_triggers_heal(database: str) -> None:
    sql(database, "drop function delete_media; drop trigger release_media_objects on media")
    sql(database, "grant execute on function retry_media_job to public")

    assert difference_lines(database) == []


def test_what_a_bot_adds_of_its_own_is_no_difference(database: str) -> None:
    sql(database, "alter table media add column note text unique")
    sql(database, "create index on messages (sender)")
    sql(database, "create table media_notes (id uuid)")

    assert difference_lines(database) == []


def test_the_command_fails_on_a_difference(database: str, tmp_path: Path) -> None:
    sql(database, "drop index media_queue_due_idx")

    done = pgmedia("migrate", cwd=tmp_path, DATABASE_URL=database)

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("missing: CREATE INDEX media_queue_due_idx")
    assert lines[1:] == ["the schema differs from version 0.1.0 in 1 places"]
    assert done.stderr == ""


def refused(dsn: str) -> tuple[str | None, str]:
    """What `migrate` refuses a database with: the SQLSTATE and the message."""
    before = catalog(dsn)
    with pytest.raises(MigrationError) as caught:
        migrated(dsn)
    assert catalog(dsn) == before
    cause = caught.value.__context__
    assert isinstance(cause, psycopg.Error)
    return cause.sqlstate, str(caught.value)


def test_a_taken_name_is_refused(empty_database: str) -> None:
    sql(empty_database, "create table media_objects (id integer)")
    sql(empty_database, "create view media_buckets as select 1 as one")

    assert refused(empty_database) == (
        "MD030",
        "cannot install pgmedia: schema public already has media_buckets, media_objects\n"
        "Rename these relations, then migrate again.",
    )
    sql(empty_database, "alter table media_objects rename to my_objects; drop view media_buckets")
    assert difference_lines(empty_database) == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("media (id integer primary key)", 'media has no primary key "id" of type uuid'),
        ("media (id uuid)", 'media has no primary key "id" of type uuid'),
        (
            "media (id uuid, n integer default 0, primary key (id, n))",
            'media has no primary key "id" of',
        ),
        ("messages (id text primary key)", 'messages has no primary key "id" of type uuid'),
        (
            "media (id uuid primary key, message_id bigint)",
            "media.message_id has type int8; pgmedia needs uuid",
        ),
        (
            "media (id uuid primary key, processed text)",
            "media.processed has type text; pgmedia needs bool",
        ),
        (
            "messages (id uuid primary key, sent_at date)",
            "messages.sent_at has type date; pgmedia needs timestamptz",
        ),
        (
            "media (id uuid primary key, chat_id integer not null)",
            "media.chat_id is not null and has no default, so pgmedia cannot add rows",
        ),
    ],
    ids=lambda value: value if " (" in value else "",
)
def test_a_layout_that_does_not_fit_is_refused(
    empty_database: str, table: str, problem: str
) -> None:
    sql(empty_database, f"create table {table}")

    state, message = refused(empty_database)

    assert state == "MD031"
    first, *problems, hint = message.splitlines()
    assert first == "cannot adopt the existing tables of schema public:"
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert hint == "Alter or rename what is named, then migrate again."


def test_every_problem_of_a_layout_is_named(empty_database: str) -> None:
    sql(empty_database, "create view messages as select 1 as id")
    sql(
        empty_database,
        "create table media (id text primary key, message_id text, processed int, a int not null)",
    )

    state, message = refused(empty_database)

    assert state == "MD031"
    assert len(message.splitlines()) == 2 + 6


async def test_an_older_bot_is_adopted(empty_database: str) -> None:
    sql(empty_database, OLDER_BOT)
    before = catalog(empty_database)
    rows = sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)
    assert [len(table) for table in rows] == [3, 3]

    assert difference_lines(empty_database) == []

    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows
    own = [line for line in before if line.startswith("relation") and "relation r" in line]
    assert own == [line for line in catalog(empty_database) if line in own]  # RLS and grants
    await go_the_main_path(empty_database)
    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows

    rollback(SecretStr(empty_database))

    assert catalog(empty_database) == before
    assert (sql(empty_database, OLD_MESSAGES), sql(empty_database, OLD_MEDIA)) == rows
    assert difference_lines(empty_database) == []


async def go_the_main_path(dsn: str) -> None:
    db: Any = await asyncpg.connect(dsn)
    try:
        old_message, old_media = await db.fetchrow(
            "select message_id, id from media where storage_path = 'old/wamid.1'"
        )
        media = await queue_media(db, "1234", message_id=old_message, mime_type="image/jpeg")
        assert media == await queue_media(db, "1234", message_id=old_message)
        repeat = await queue_media(db, "5678")
        tokens = await claim(db)
        assert set(tokens) == {media, repeat}
        begun = await begin_upload(db, media, tokens[media], content_hash=sha256(b"content"))
        assert begun["verdict"] == "upload"
        joined = await begin_upload(db, repeat, tokens[repeat], content_hash=sha256(b"content"))
        assert joined["verdict"] == "joined"
        assert await finish_upload(db, media, tokens[media], begun["object_id"]) == 1
        assert [(await status(db, one))["status"] for one in (media, repeat)] == ["stored"] * 2
        (found,) = await db.fetch("select * from check_media_exists($1)", sha256(b"content"))
        assert found["object_id"] == begun["object_id"]
        listed = await db.fetch("select * from get_media_by_message($1)", old_message)
        assert {row["id"] for row in listed} == {old_media, media}
    finally:
        await db.close()


@pytest.mark.parametrize(
    "layout",
    [
        "create table messages (id uuid primary key);"
        "alter table messages enable row level security",
        "create table media (id uuid primary key, message_id uuid, whatsapp_media_id varchar(50))",
        "create table messages (id uuid primary key, whatsapp_message_id varchar(100) not null,"
        " created_at timestamp not null default now());"
        "create table media (id uuid primary key, message_id uuid not null,"
        " file_size numeric, created_at timestamp default now())",
    ],
    ids=["messages", "media", "both"],
)
async def test_parts_of_an_older_layout(empty_database: str, layout: str) -> None:
    sql(empty_database, layout)
    before = catalog(empty_database)

    assert difference_lines(empty_database) == []

    db: Any = await asyncpg.connect(empty_database)
    message = await db.fetchval(
        "insert into messages (id, whatsapp_message_id) values ($1, 'wamid.x') returning id",
        uuid4(),
    )
    media = await queue_media(db, "1234", message_id=message)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=sha256(b"x"))
    await finish_upload(db, media, token, begun["object_id"])
    assert (await status(db, media))["status"] == "stored"
    await db.close()
    rollback(SecretStr(empty_database))
    assert catalog(empty_database) == before


async def test_a_killed_migration_says_what_to_do(empty_database: str) -> None:
    sql(empty_database, OLDER_BOT)
    before = catalog(empty_database)
    blocker: Any = await asyncpg.connect(empty_database)
    blocking = blocker.transaction()
    await blocking.start()
    await blocker.execute("lock table media in share row exclusive mode")
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "migrate",
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


def test_the_committed_schema_is_what_is_written(tmp_path: Path) -> None:
    done = run_module("tests.write_schema", str(tmp_path / "schema.txt"), cwd=CHECKOUT)
    assert (done.returncode, done.stderr) == (0, "")

    assert (tmp_path / "schema.txt").read_text() == (schema_folder() / "schema.txt").read_text()
