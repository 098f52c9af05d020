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
    "explain_media_failure",
    "get_media_audit_trail",
    "get_media_by_message",
    "get_media_project_url",
    "get_media_status",
    "get_media_storage_stats",
    "get_media_url_policy",
    "queue_media_attachments",
    "queue_media_processing",
    "receive_whatsapp_webhook",
    "touch_media",
    "verify_whatsapp_signature",
}
"""What a bot, or the webhook's door, needs."""

OPERATOR = CLIENT | {
    "add_media_listing",
    "begin_media_reconcile",
    "cancel_media",
    "cleanup_old_media",
    "close_whatsapp_webhook",
    "compare_media_storage",
    "confirm_media_differences",
    "copy_media_listing",
    "delete_media",
    "describe_media_schema",
    "end_media_reconcile",
    "fix_media_differences",
    "get_media_bucket_policy",
    "get_media_settings",
    "hold_media",
    "list_media_differences",
    "open_whatsapp_webhook",
    "pause_media_source",
    "queue_missing_media",
    "release_media_hold",
    "replay_whatsapp_webhook",
    "resume_media_source",
    "retry_failed_media",
    "retry_media",
    "run_media_cleanup",
    "run_media_maintenance",
    "schedule_media_maintenance",
    "set_media_project_url",
    "set_media_setting",
    "set_whatsapp_secrets",
    "unschedule_media_maintenance",
}

POLLER = {
    "begin_media_upload",
    "begin_media_uploads",
    "claim_media_deletions",
    "claim_media_jobs",
    "describe_media_schema",
    "describe_media_source",
    "describe_media_sources",
    "discard_media_upload",
    "fail_media_deletions",
    "fail_media_job",
    "finish_media_deletions",
    "finish_media_upload",
    "finish_media_uploads",
    "get_media_bucket_policy",
    "get_media_project_url",
    "get_media_queue_figures",
    "get_media_storage_stats",
    "heartbeat_media_poller",
    "leave_media_poller",
    "note_late_answer",
    "release_media_deletions",
    "release_media_jobs",
    "renew_media_leases",
    "run_media_maintenance",
    "settle_media_encoding",
    "settle_media_quarantine",
}
"""Work on a job is guarded by its lease as well: the poller's name and the fencing token."""

READER = {"get_media_storage_stats"}
"""What a dashboard needs, besides its views."""

SHARED = {
    "describe_media_schema",
    "get_media_bucket_policy",
    "get_media_project_url",
    "get_media_storage_stats",
    "run_media_maintenance",
}
"""What a poller may do as well as an operator: see how things are, and keep house."""

NOBODY = {
    "add_media_reservations",
    "adopt_media_rows",
    "bury_media_job",
    "check_cleanup_arguments",
    "check_cron_access",
    "check_deferred_constraints",
    "check_media_arguments",
    "check_media_attachments",
    "check_media_project",
    "check_poller_project",
    "clean_up_daily",
    "continue_media_cleanup",
    "count_bucket_changes",
    "count_bucket_losses",
    "count_ignored_fields",
    "count_media_refusal",
    "count_queued_media",
    "count_stored_media",
    "count_webhook_messages",
    "count_webhook_problems",
    "deferred_constraints_matter",
    "delete_media_pieces",
    "delete_old_media",
    "describe_media_grants",
    "drop_cron_jobs",
    "drop_media_reservations",
    "drop_orphan_reservations",
    "end_media_leads",
    "end_media_pause",
    "end_source_pauses",
    "enqueue_media",
    "equal_in_constant_time",
    "extend_media_pause",
    "describe_setting_values",
    "fail_expired_media",
    "fail_metadata_removal",
    "fail_webhook_media",
    "fill_webhook_messages",
    "find_content_refusal",
    "find_failure_rule",
    "find_media_differences",
    "find_media_format",
    "find_media_leader",
    "find_stored_object",
    "find_waiting_media",
    "find_webhook_problems",
    "fold_bucket_totals",
    "fold_media_analytics",
    "fold_media_throughput",
    "forget_media_cleanups",
    "forget_media_pollers",
    "forgive_unheard_requests",
    "forgo_media_encoding",
    "free_waiting_media",
    "get_bucket_totals",
    "get_due_from",
    "get_media_throughput",
    "get_processing_times",
    "get_size_limit",
    "get_source_allowances",
    "get_time_bucket",
    "get_webhook_figures",
    "give_back_media_jobs",
    "hmac_sha256",
    "in_media_folder",
    "insert_webhook_media",
    "insert_webhook_messages",
    "is_media_path",
    "is_media_refusal",
    "is_server_fault",
    "is_source_paused",
    "join_media_leader",
    "judge_announced_media",
    "judge_media_content",
    "judge_media_encoding",
    "judge_received_content",
    "judge_stored_object",
    "limit_media_claim",
    "link_media_objects",
    "list_deferred_constraints",
    "list_kept_media",
    "list_last_failures",
    "list_live_pollers",
    "list_media_pauses",
    "list_media_relations",
    "list_media_totals",
    "list_media_types",
    "find_stored_message",
    "list_messages_without_media",
    "list_old_media",
    "list_webhook_media",
    "list_webhook_messages",
    "list_webhook_parts",
    "lock_media_job",
    "lock_media_jobs",
    "lock_media_reservation",
    "lock_media_sources",
    "log_media_event",
    "log_media_holds",
    "log_operator_action",
    "log_setting_changes",
    "mark_media_sources",
    "may_be_declared_as",
    "media_attachment_name",
    "media_download_name",
    "media_public_url",
    "media_state",
    "name_refused_row",
    "normalize_media_hash",
    "normalize_mime_type",
    "note_deleted_job",
    "note_media_received",
    "parse_webhook_payload",
    "pause_spent_sources",
    "percent_encode",
    "pick_media_jobs",
    "place_media_object",
    "place_media_objects",
    "plan_media_encoding",
    "process_webhook_event",
    "prune_cron_runs",
    "prune_dead_letters",
    "prune_media_audit",
    "prune_media_quarantine",
    "prune_media_throughput",
    "prune_media_tombstones",
    "prune_unheard_requests",
    "prune_webhook_refusals",
    "prune_whatsapp_webhooks",
    "quarantine_media_content",
    "queue_lost_media",
    "queue_media_batch",
    "raise_media_priority",
    "read_retry_after",
    "reads_storage_tables",
    "recheck_waiting_media",
    "record_media_sources",
    "record_unheard_request",
    "refuse_audit_change",
    "refuse_audit_deletion",
    "refuse_media_content",
    "refuse_media_truncate",
    "refuse_received_content",
    "refuse_settings_loss",
    "refuse_webhook_call",
    "reject_media_content",
    "release_media_objects",
    "release_quarantined_media",
    "relist_media_files",
    "requeue_media_object",
    "rescue_media_jobs",
    "rescue_media_object",
    "reserve_media_objects",
    "retry_media_job",
    "retry_media_rows",
    "route_media_content",
    "save_cleanup_place",
    "set_aside_deleted_media",
    "settle_announced_media",
    "settle_media_contents",
    "sift_webhook_rows",
    "store_received_contents",
    "store_webhook_media",
    "store_webhook_rows",
    "store_without_codec",
    "take_over_media_objects",
    "tell_media_format",
    "touch_media_reconcile",
    "wake_media_pollers",
    "write_webhook_rows",
    "whatsapp_webhook(json)",
    "whatsapp_webhook(text, text, text)",
}
"""Called by the others, or by triggers; whatsapp_webhook by anon once an operator has opened it."""

ROLES = {
    "media_client": CLIENT,
    "media_poller": POLLER,
    "media_reader": READER,
    "media_admin": OPERATOR,
    "service_role": OPERATOR,
    "anon": set[str](),
    "authenticated": set[str](),
    "pgmedia_test_nothing": set[str](),
}
"""The functions that a role may call, by role."""

UNREADABLE = {"media_secrets", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}
"""Tables that nobody reads, operators included. They read all others; the other roles none."""

REPORTS = {"media_daily_report", "media_failures", "media_queue_health"}
"""Views that media_reader reads, and no table."""

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
