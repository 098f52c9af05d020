-- The figures of the whole store in one call. Totals come from the analytics, so they cost the same
-- however many media rows there are.

create or replace function public.get_media_storage_stats()
returns json
language sql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
    with queued as materialized (
        select * from public.count_queued_media()
    )
    select json_build_object(
        'files', coalesce(sum(t.files), 0),
        'bytes', coalesce(sum(t.bytes), 0),
        'unique_files', coalesce(sum(t.unique_files), 0),
        'deduplicated_files', coalesce(sum(t.deduplicated_files), 0),
        'saved_bytes', coalesce(sum(t.saved_bytes), 0),
        'saved_share', round(coalesce(sum(t.saved_bytes) / nullif(sum(t.bytes), 0), 0), 4),
        'failed_files', coalesce(sum(t.failed_files), 0),
        'retried_files', coalesce(sum(t.retried_files), 0),
        'deleted_files', coalesce(sum(t.deleted_files), 0),
        'deleted_bytes', coalesce(sum(t.deleted_bytes), 0),
        'lost_files', coalesce(sum(t.lost_files), 0),
        'stored_files', coalesce(sum(t.stored_files), 0),
        'stored_bytes', coalesce(sum(t.stored_bytes), 0),
        'by_type', coalesce(json_object_agg(t.media_type, to_json(t) order by t.media_type)
            filter (where t.media_type is not null), '{}'),
        'by_bucket', public.get_bucket_totals(),
        'throughput', public.get_media_throughput(),
        'processing_ms', public.get_processing_times((now() at time zone 'utc')::date - 6),
        'queue', (
            select coalesce(json_object_agg(q.status, q.n order by q.status), '{}')
            from (select c.status, sum(c.jobs) as n from queued c group by c.status) q),
        'oldest_due_seconds', (
            select coalesce(extract(epoch from now() - min(q.due_at))::bigint, 0)
            from public.media_processing_queue q
            where q.status = 'pending' and q.due_at <= now()),
        'failures', (
            select coalesce(json_object_agg(f.code, f.jobs order by f.jobs desc, f.code), '{}')
            from queued f
            where f.status = 'failed'),
        'last_failures', public.list_last_failures(5),
        'codes', (
            select coalesce(json_object_agg(c.failure_code, json_build_object('meaning', c.meaning, 'advice', c.advice)), '{}')
            from public.media_failure_codes c
            where c.failure_code in (select f.code from queued f where f.status = 'failed')
                or c.failure_code in (select p.reason from public.media_pauses p)),
        'quarantine', (
            select json_build_object('files', count(*), 'bytes', coalesce(sum(q.file_size), 0), 'refusals', coalesce(sum(q.arrivals), 0))
            from public.media_quarantine q),
        'deletions', (select count(*) from public.media_deletion_queue),
        'deletions_overdue', (
            select count(*)
            from public.media_deletion_queue d
            cross join public.media_settings s
            where d.due_at < now() - s.lease),
        'unfolded', (select count(*) from (select from public.media_analytics_deltas limit 100000) d),
        'webhook', public.get_webhook_figures(),
        'pauses', public.list_media_pauses(),
        'pollers', json_array_length(public.list_live_pollers()),
        'pollers_alive', public.list_live_pollers(),
        'at', now()
    )
    from public.list_media_totals() t;
$$;

comment on function public.get_media_storage_stats is
    'Since the start, in all and by_type: files, bytes, unique_files, deduplicated_files, saved_bytes (in all also saved_share of bytes, 0 to 1), failed_files, retried_files, deleted_files, deleted_bytes, lost_files (not found in storage, and fetched again). What there is now, in the same way: stored_files and stored_bytes, attachments with a file, and the bytes of these in storage. by_bucket: objects, bytes. throughput: files, bytes, failed_files of last_minute (60 seconds), last_hour, last_day (whole minutes). processing_ms: p50, p95, p99 from queued to processed over seven days, within 10 %. queue: depth by status; up to 10000 dead letters of each code are counted; oldest_due_seconds; failures: dead letters by code; last_failures: [{id, at, code, text}]. codes: {meaning, advice} of the codes in failures and pauses. quarantine: refused files that are kept, their bytes, and how often such were refused. deletions: files to remove; deletions_overdue: those due for longer than a lease. unfolded: events that maintenance has still to fold into the figures; at 100000 there are more, which these lack. webhook: since the beginning of yesterday (UTC), {since, refusals (calls by reason), calls_with_errors, errors (by kind, of the latest 1,000 such calls)}. pauses: [{scope, reason, detail, strikes, paused_at, until, state: paused or probing}]. pollers: how many are alive; pollers_alive: [{poller, version, mode, in_flight, work (what up to 50 attachments in hand are at: [{id, step, bytes_done, bytes_total, seconds}]), started_at, seen_at}]. at: the time of all this.';
grant execute on function public.get_media_storage_stats to media_client, media_poller, media_admin, media_reader;
