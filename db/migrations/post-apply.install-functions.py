"""Install the functions of db/functions, drop those this version no longer has, close them.

yoyo runs this after a migration was applied; `pgmedia migrate` always runs it, so a changed
function reaches a database that has no pending migration. It is one transaction.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from psycopg.errors import Diagnostic, InvalidFunctionDefinition
from yoyo import step  # pyright: ignore[reportUnknownVariableType]

log = logging.getLogger("pgmedia.migrate")

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
END_OF_BODY = "\n$$;\n"

# Functions of a name, with the transaction that last wrote each: a change is our doing.
LIST_FUNCTIONS = """
    select p.oid, p.xmin::text, p.oid::regprocedure::text
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = %s
"""

CLOSE_TO_THE_PUBLIC = """
do $$
declare
    r record;
begin
    -- Supabase's default privileges open every function and table of public to its API roles.
    for r in
        select x.role, o.object
        from unnest(array['public', 'anon', 'authenticated', 'service_role']) x (role)
        cross join (
            select 'function ' || f.signature as object
            from public.media_schema_functions f
            union all
            select 'table public.' || t.name
            from unnest(array[
                '_yoyo_log', '_yoyo_migration', '_yoyo_version', 'yoyo_lock'
            ]) t (name)
            where to_regclass('public.' || t.name) is not null
        ) o
        where x.role = 'public' or to_regrole(x.role) is not null
    loop
        execute format('revoke all on %s from %s', r.object, r.role);
    end loop;
    -- service_role may do what an operator may.
    for r in
        select f.signature
        from public.media_schema_functions f
        where to_regrole('service_role') is not null
            and has_function_privilege('media_admin', f.signature, 'execute')
    loop
        execute format('grant execute on function %s to service_role', r.signature);
    end loop;
    -- What an operator opened stays open, if it can.
    if exists (select from public.media_secrets s where s.webhook_open) then
        begin
            perform public.open_whatsapp_webhook();
        exception when sqlstate 'MD053' then
            perform public.close_whatsapp_webhook();
            raise warning 'whatsapp_webhook is closed now: %', sqlerrm
                using hint = 'Call open_whatsapp_webhook() when that is mended.';
        end;
    end if;
end $$;
"""


def install_functions(connection: Any) -> None:
    """Replace all functions; drop those installed earlier that no file defines any more."""
    connection.add_notice_handler(pass_on)
    cursor = connection.cursor()
    cursor.execute("set local lock_timeout = '5s'")
    cursor.execute("set local search_path = ''")  # signatures are recorded with their schema
    cursor.execute(
        "set local check_function_bodies = off"
    )  # files refer to each other in any order
    deleted = cursor.execute("delete from public.media_schema_functions returning signature")
    recorded = {signature for (signature,) in deleted.fetchall()}
    installed = [install(connection, path, recorded) for path in sorted(FUNCTIONS.rglob("*.sql"))]
    for signature in recorded.difference(installed):
        cursor.execute(f"drop function if exists {signature}")
    cursor.executemany(
        "insert into public.media_schema_functions (signature) values (%s)",
        [[signature] for signature in installed],
    )
    cursor.execute(CLOSE_TO_THE_PUBLIC)
    # media is locked until the commit, with its triggers: no earlier function changes it meanwhile.
    cursor.execute("select public.count_stored_media()")


def pass_on(notice: Diagnostic) -> None:
    """What the database warns of is for whoever migrates."""
    if notice.severity_nonlocalized == "WARNING":
        log.warning("warning: %s %s", notice.message_primary, notice.message_hint or "")


def install(connection: Any, path: Path, recorded: set[str]) -> str:
    """Run the file of one function; returns its signature.

    Another function of the name may be there: an earlier one of ours, or a bot's own overload. So
    what the file says about the function after its body is said about this signature. A bot's own
    function of the same signature is not replaced: that is an error. A grant to a role of ours that
    the file no longer has does not outlive the upgrade.
    """
    cursor = connection.cursor()
    earlier = {one for one in recorded if one.startswith(f"public.{path.stem}(")}
    body, end, remarks = path.read_text(encoding="utf-8").partition(END_OF_BODY)
    if not earlier:
        body = body.replace("create or replace function", "create function", 1)
    before = set(cursor.execute(LIST_FUNCTIONS, [path.stem]).fetchall())
    try:
        with connection.transaction():
            cursor.execute(body + end)
    except InvalidFunctionDefinition:  # other columns or names of arguments: not to be replaced
        for signature in earlier:
            cursor.execute(f"drop function if exists {signature}")
        cursor.execute(body + end)
    after = set(cursor.execute(LIST_FUNCTIONS, [path.stem]).fetchall())
    ((_, _, signature),) = after - before
    cursor.execute(
        f"revoke all on function {signature}"
        " from media_client, media_poller, media_admin, media_reader"
    )
    cursor.execute(remarks.replace(f"function public.{path.stem} ", f"function {signature} "))
    return signature


steps = [step(install_functions)]
