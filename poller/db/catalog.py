"""What can be asked of any Postgres, also of one without pgmedia's schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

QUESTION = """
    select
        current_setting('server_version_num')::integer / 10000 as major_version,
        current_setting('server_version') as version,
        session_user::text as login,
        clock_timestamp() as clock,
        current_setting('transaction_read_only')::boolean as only_reads,
        array(
            select r.name
            from unnest(array[
                'media_admin', 'media_poller', 'media_client', 'media_reader']) r (name)
            where to_regrole(r.name) is not null
                and pg_has_role(current_user, to_regrole(r.name), 'usage')
        ) as roles,
        f.of_pollers,
        f.refused,
        case
            when exists (select from pg_extension where extname = 'pg_cron') then 'here'
            when exists (select from pg_available_extensions where name = 'pg_cron')
                then 'available'
            else 'absent'
        end as pg_cron
    from (
        select count(*) as of_pollers,
            coalesce(array_agg(p.proname::text order by p.proname)
                filter (where not has_function_privilege(p.oid, 'execute')), '{}') as refused
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
        where exists (
            select
            from aclexplode(p.proacl) x
            where x.grantee = to_regrole('media_poller') and x.privilege_type = 'EXECUTE')
    ) f
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres server, and what a login may do there.

    `roles`: those of pgmedia that the login has; `of_pollers`: how many functions a poller may
    call; `refused`: those of them that the login may not.
    """

    major_version: int
    version: str
    login: str
    clock: datetime
    only_reads: bool
    roles: list[str]
    of_pollers: int
    refused: list[str]
    pg_cron: Literal["here", "available", "absent"]


ROLES_OF = """
    select session_user::text as login, quote_ident(session_user) as quoted, array(
        select r.rolname::text
        from pg_proc p
        cross join aclexplode(p.proacl) x
        join pg_roles r on r.oid = x.grantee
        where p.pronamespace = 'public'::regnamespace
            and p.proname = $1
            and r.rolname in ('media_reader', 'media_poller', 'media_client', 'media_admin')
        order by r.rolname = 'media_admin', r.rolname) as roles
"""


async def what_it_needs(dsn: str, function: str) -> str | None:
    """Which role a login lacks that may not call a function; None for one that no role may call.

    Raises one of DATABASE_AWAY, or asyncpg's errors for a refused login.
    """
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10, statement_cache_size=0)
    try:
        row = await connection.fetchrow(ROLES_OF, function)
        assert row is not None  # noqa: S101 - it is one row
    finally:
        connection.terminate()
    if not row["roles"]:
        return None
    least, *others = row["roles"]
    also = f" (or {', '.join(others)})" if others else ""
    return (
        f"the login {row['login']} needs the role {least}{also}: run, as the owner of the"
        f" database, grant {least} to {row['quoted']}"
    )


async def read_server(dsn: str) -> Server:
    """Connect and ask. Raises one of DATABASE_AWAY, or asyncpg's errors for a refused login."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10, statement_cache_size=0)
    try:
        row = await connection.fetchrow(QUESTION)
        assert row is not None  # noqa: S101 - an aggregate is one row
        return Server(**row)
    finally:
        connection.terminate()
