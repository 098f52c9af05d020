"""What the tests of migrations say often: what a database holds, and how it is migrated."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

import poller.migrate
from poller.migrate import migrate, schema_folder
from tests.helpers import (
    run_module,
    sql,
)

CHECKOUT = Path(__file__).resolve().parents[1]


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


def yoyo(dsn: str, *arguments: str) -> None:
    done = run_module("yoyo", *arguments, cwd=CHECKOUT, DATABASE_URL=dsn)
    assert (done.returncode, done.stderr) == (0, "")


def functions_named(name: str, dsn: str) -> list[str]:
    named = "select oid::regprocedure::text from pg_proc where proname = %s order by 1"
    rows = sql(dsn, named, name)
    return [signature for (signature,) in rows]
