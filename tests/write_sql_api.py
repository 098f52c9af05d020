"""Write docs/sql-api.md from the functions of a fresh installation (`make sql-api`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import class_row
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import PostgresServer

CHECKOUT = Path(__file__).resolve().parents[1]
FILE = CHECKOUT / "docs" / "sql-api.md"
SOURCES = {file.stem: file for file in sorted((CHECKOUT / "db/functions").rglob("*.sql"))}
VIEW_MIGRATIONS = sorted((CHECKOUT / "db/migrations").glob("????.*.sql"), reverse=True)

FUNCTIONS = """
select
    f.proname as name,
    pg_get_function_arguments(f.oid) as arguments,
    pg_get_function_result(f.oid) as result,
    case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end
        as volatility,
    obj_description(f.oid, 'pg_proc') as comment,
    array(
        select r.rolname::text
        from aclexplode(f.proacl) a
        join pg_roles r on r.oid = a.grantee
        where a.privilege_type = 'EXECUTE' and r.rolname like 'media\\_%'
        order by r.rolname
    ) as roles
from pg_proc f
where f.pronamespace = 'public'::regnamespace and f.prokind = 'f'
order by f.proname, arguments
"""

VIEWS = """
select
    c.relname as name,
    obj_description(c.oid, 'pg_class') as comment,
    (
        select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod))
            order by a.attnum)
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
order by c.relname
"""

WEBHOOK = "whatsapp_webhook"
GROUPS = {
    "For any client": "A role in `media_client` may call these, as may operators.",
    "For operators": "A role in `media_admin`, and `service_role` on Supabase, may call these.",
    "For pollers": "`pgmedia poll` calls these, in the role `media_poller`. Other programs have no "
    "use for them: each write must name a lease.",
    "For Meta, through PostgREST": "Closed until `open_whatsapp_webhook()`; then `anon` may call "
    "these two. See [the webhook](webhook.md).",
}
HEAD = """# SQL API

Made from the functions' own comments by `make sql-api`; a test says when it is no longer theirs.
In psql, `\\df+ NAME` shows the same. All are in the schema `public`. Arguments are named as they
stand here, and those with a default may be left out:
`select queue_media_processing(message_id => '…', whatsapp_media_id => '…')`. Of each error,
[the table](reference.md#errors) says what it means; the message names the value, and the hint says
what to do. Further functions are pgmedia's own: nobody may call them.
"""


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    arguments: str
    result: str
    volatility: str
    comment: str
    roles: list[str]

    @property
    def group(self) -> str | None:
        """The part of the document that it belongs to; None where nobody may call it."""
        if self.name == WEBHOOK:
            return "For Meta, through PostgREST"
        for role, group in (
            ("media_client", "For any client"),
            ("media_admin", "For operators"),
            ("media_poller", "For pollers"),
        ):
            if role in self.roles:
                return group
        return None


@dataclass(frozen=True, slots=True)
class View:
    name: str
    comment: str
    columns: list[list[str]]


def plain(declaration: str) -> str:
    """What the catalogue says, as people write it."""
    short = re.sub(r"(DEFAULT (?:'[^']*'|[^:,]+))::[a-z ]+(?:\[\])?", r"\1", declaration)
    for long, usual in (
        ("DEFAULT NULL", "default null"),
        ("DEFAULT", "default"),
        ("SETOF", "setof"),
        ("timestamp with time zone", "timestamptz"),
        ("time without time zone", "time"),
    ):
        short = short.replace(long, usual)
    return short


def split_list(listed: str) -> list[str]:
    """Arguments or columns, cut at the commas outside of brackets and quotes."""
    listed = plain(listed)
    parts, depth, quoted = [""], 0, False
    for character in listed:
        quoted ^= character == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def signature(function: Function) -> str:
    """The function as it is called, on one line where it fits."""
    arguments = split_list(function.arguments)
    line = f"{function.name}({', '.join(arguments)})"
    if len(line) <= 100:
        return line
    return f"{function.name}(\n    " + ",\n    ".join(arguments) + "\n)"


def result_shape(result: str) -> str:
    table = re.fullmatch(r"TABLE\((.*)\)", result)
    if not table:
        return f"`{plain(result)}`"
    return "rows of " + list_columns(column.split(" ", 1) for column in split_list(table[1]))


def list_columns(columns: Iterable[list[str]]) -> str:
    return ", ".join(f"`{name.strip(chr(34))}` {plain(kind)}" for name, kind in columns)


def split_errors(comment: str) -> tuple[str, str]:
    """What the function does, and its errors: `Errors: MD010 unknown message, …`."""
    found = re.search(r"\s*\bErrors?: ((?:[A-Z0-9]{5}) .*?)(?:\.(?= )|\.?$)", comment)
    if not found:
        return comment, ""
    return f"{comment[: found.start()]}{comment[found.end() :]}".strip(), found[1]


def source_of(function: Function) -> Path:
    name = function.name
    if name == WEBHOOK:
        name = "get" if "mode" in function.arguments else "post"
        return next((CHECKOUT / "db/functions/webhook" / name).glob("*.sql"))
    return SOURCES[name]


def escape(text: str) -> str:
    """Words for Markdown: nothing in them is emphasis, a tag or a reference."""
    return re.sub(r"(?<!\w)([*_])|([*])|([<|])", lambda found: f"\\{found[0]}", text)


def describe_function(function: Function) -> Iterator[str]:
    meaning, errors = split_errors(function.comment)
    source = source_of(function).relative_to(CHECKOUT).as_posix()
    yield f"### {function.name}\n"
    yield f"```sql\n{signature(function)}\n```\n"
    yield f"{escape(meaning)}\n"
    yield f"- Returns: {result_shape(function.result)}"
    if errors:
        yield f"- Errors: {escape(errors)}"
    callers = ", ".join(f"`{role}`" for role in function.roles) or "`anon`, once it is open"
    yield f"- May be called by: {callers}"
    yield f"- {function.volatility.capitalize()}; source: [{source}](../{source})\n"


def describe_view(view: View) -> Iterator[str]:
    (source, *_) = [
        file.relative_to(CHECKOUT).as_posix()
        for file in VIEW_MIGRATIONS
        if ".rollback." not in file.name
        and f"view public.{view.name} with" in file.read_text("utf-8")
    ]
    yield f"### {view.name}\n"
    yield f"{escape(view.comment)}\n"
    yield f"- Columns: {list_columns(view.columns)}"
    yield f"- Source: [{source}](../{source})\n"


def describe_sql_api(connection: psycopg.Connection) -> str:
    """The document, of the database that is connected to."""
    with connection.cursor(row_factory=class_row(Function)) as cursor:
        functions = cursor.execute(FUNCTIONS).fetchall()
    with connection.cursor(row_factory=class_row(View)) as cursor:
        views = cursor.execute(VIEWS).fetchall()
    lines = [HEAD]
    for group, who in GROUPS.items():
        lines += [f"## {group}\n", f"{who}\n"]
        for function in functions:
            if function.group == group:
                lines += describe_function(function)
    lines += ["## Views\n", "`media_reader` and operators may read these.\n"]
    for view in views:
        lines += describe_view(view)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    with PostgresServer() as server:
        migrate(SecretStr(server.dsn()))
        with psycopg.connect(server.dsn()) as connection:
            FILE.write_text(describe_sql_api(connection), encoding="utf-8")


if __name__ == "__main__":
    main()
