"""Who may do what: the expectation as data, and how it is tried.

A new function is in none of these lists: a test fails until somebody decides where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

DENIED = "42501"

CLIENT = {
    "check_media_exists",
    "count_webhook_refusal",
    "get_media_audit_trail",
    "get_media_by_message",
    "get_media_status",
    "get_media_storage_stats",
    "queue_media_processing",
    "receive_whatsapp_webhook",
    "verify_whatsapp_signature",
}
"""What a bot, or the webhook's door, needs."""

OPERATOR = CLIENT | {
    "cancel_media",
    "close_whatsapp_webhook",
    "delete_media",
    "describe_media_schema",
    "get_media_bucket_policy",
    "open_whatsapp_webhook",
    "pause_media_source",
    "replay_whatsapp_webhook",
    "resume_media_source",
    "retry_failed_media",
    "retry_media",
    "set_media_project_url",
    "set_whatsapp_secrets",
}

POLLER = {
    "begin_media_upload",
    "claim_media_deletions",
    "claim_media_jobs",
    "describe_media_source",
    "discard_media_upload",
    "fail_media_deletions",
    "fail_media_job",
    "finish_media_deletions",
    "finish_media_upload",
    "get_media_bucket_policy",
    "heartbeat_media_poller",
    "leave_media_poller",
    "release_media_jobs",
    "renew_media_leases",
}
"""Work on a job is guarded by its lease as well: the poller's name and the fencing token."""

NOBODY = {
    "adopt_media_rows",
    "bury_media_job",
    "check_media_arguments",
    "count_ignored_fields",
    "count_media_refusal",
    "drop_media_reservations",
    "end_media_pause",
    "enqueue_media",
    "equal_in_constant_time",
    "extend_media_pause",
    "fail_webhook_media",
    "find_failure_rule",
    "find_media_format",
    "find_media_leader",
    "find_stored_object",
    "find_webhook_problems",
    "fold_media_analytics",
    "free_waiting_media",
    "get_source_allowance",
    "hmac_sha256",
    "insert_webhook_messages",
    "judge_media_content",
    "limit_media_claim",
    "link_media_object",
    "list_webhook_media",
    "list_webhook_messages",
    "lock_media_job",
    "lock_media_sources",
    "log_media_event",
    "media_state",
    "normalize_media_hash",
    "normalize_mime_type",
    "parse_webhook_payload",
    "process_webhook_event",
    "prune_whatsapp_webhooks",
    "queue_media_batch",
    "read_retry_after",
    "refuse_audit_change",
    "refuse_media_truncate",
    "release_media_objects",
    "rescue_media_jobs",
    "rescue_media_object",
    "reserve_media_object",
    "retry_media_job",
    "retry_media_rows",
    "settle_media_content",
    "store_webhook_media",
    "store_webhook_messages",
    "wake_media_pollers",
    "whatsapp_webhook(json)",
    "whatsapp_webhook(text, text, text)",
}
"""Called by the others, or by triggers; the last two by anon, once an operator has opened them."""

ROLES = {
    "media_client": CLIENT,
    "media_poller": POLLER,
    "media_admin": OPERATOR,
    "service_role": OPERATOR,
    "anon": set[str](),
    "authenticated": set[str](),
    "pgmedia_test_nothing": set[str](),
}
"""The functions that a role may call, by role."""

UNREADABLE = {"media_secrets", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}
"""Tables that nobody reads, operators included. They read all others; the other roles none."""

CREATE_API_ROLES = """
do $$
declare
    v_role text;
begin
    foreach v_role in array array[
        'anon nologin', 'authenticated nologin', 'service_role nologin bypassrls',
        'pgmedia_test_nothing nologin'
    ] loop
        begin
            execute 'create role ' || v_role;
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end $$;
grant usage on schema public to anon, authenticated, service_role;
"""
"""The roles of Supabase's API, and one that has nothing."""

DEFAULT_PRIVILEGES = """
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
"""
"""What projects of Supabase give their API roles on everything that is made later."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the schema. `call`: its call with nulls, or nought where it takes none."""

    signature: str
    call: str
    arguments: list[str]
    row: Any


async def functions(db: Any) -> dict[str, Function]:
    """Every function of the schema, by name, or where the name is overloaded by signature."""
    rows = await db.fetch(
        "select p.oid::regprocedure::text as signature, p.prosecdef,"
        " p.proname || case when count(*) over (partition by p.proname) > 1"
        "     then format('(%s)', oidvectortypes(p.proargtypes)) else '' end as name,"
        " p.proconfig, p.proacl, coalesce(p.proargnames[:p.pronargs], '{}') as arguments,"
        " obj_description(p.oid, 'pg_proc') as comment,"
        " format('select %s(%s)', p.oid::regproc, (select string_agg(format('%s::%s',"
        "     case when p.proisstrict then quote_literal(0) else 'null' end, t::regtype),"
        "     ', ' order by o)"
        "     from unnest(p.proargtypes) with ordinality a (t, o))) as call"
        " from pg_proc p where p.pronamespace = 'public'::regnamespace order by p.proname"
    )
    return {
        row["name"]: Function(row["signature"], row["call"], row["arguments"], row) for row in rows
    }


async def relations(db: Any, kinds: str) -> list[str]:
    """Relations of the schema by kind: r tables, S sequences, v views, …"""
    rows = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind::text = any ($1) order by relname",
        list(kinds),
    )
    return [row[0] for row in rows]


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
