-- The tables and views of pgmedia, with the two that a bot may have had before.

create or replace function public.list_media_relations()
returns text[]
language sql
immutable
parallel safe
set search_path = ''
as $$
    select array[
        'media', 'media_accesses', 'media_adopted_tables', 'media_analytics', 'media_analytics_deltas',
        'media_audit_log', 'media_bucket_deltas', 'media_bucket_totals', 'media_buckets',
        'media_cleanups', 'media_content_rules', 'media_daily_report', 'media_deletion_queue', 'media_encodings', 'media_failure_codes', 'media_failure_rules', 'media_failures',
        'media_formats', 'media_holds', 'media_maintenance', 'media_objects', 'media_pauses',
        'media_pollers', 'media_processing_queue', 'media_processing_times', 'media_quarantine', 'media_queue_health', 'media_recent_throughput',
        'media_reconcile_runs', 'media_schema_functions', 'media_secrets', 'media_settings',
        'media_sources', 'media_storage_differences', 'media_storage_listing', 'media_throughput',
        'media_tombstones', 'media_unheard_requests', 'messages', 'whatsapp_webhook_events', 'whatsapp_webhook_refusals'
    ];
$$;

comment on function public.list_media_relations is 'Names of the tables and views of pgmedia, in schema public.';
