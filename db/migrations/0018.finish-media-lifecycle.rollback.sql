-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-function, require-concurrent-index-deletion, adding-field-with-default

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_analytics_deltas
    add column minute timestamptz not null default date_trunc('minute', now());
update public.media_analytics_deltas set minute = date_trunc('minute', at);
alter table public.media_analytics_deltas drop column stored_files, drop column stored_bytes, drop column at;
alter table public.media_analytics drop column stored_files, drop column stored_bytes;
drop index public.media_queue_dead_idx, public.media_queue_cancelled_idx, public.pgmedia_media_undated_idx;
alter table public.media_processing_queue drop column died_at;
alter table public.media_maintenance drop column audit_pruned_to, drop column stored_counted;
-- The function of the table's type goes with it.
drop function if exists public.save_cleanup_place(public.media_cleanups, boolean);
drop table public.media_cleanups, public.media_recent_throughput;
alter view public.media_daily_report set (security_invoker = true);
alter view public.media_queue_health set (security_invoker = true);
alter view public.media_failures set (security_invoker = true);

-- The role goes with the last database that uses it.
do $$
begin
    revoke all on public.media_daily_report, public.media_queue_health, public.media_failures from media_reader;
    if to_regprocedure('public.get_media_storage_stats()') is not null then
        revoke all on function public.get_media_storage_stats() from media_reader;
    end if;
    revoke all on schema public from media_reader;
    begin
        drop role media_reader;
    exception when dependent_objects_still_exist then
        raise notice 'role media_reader stays: another database of this server uses it';
    end;
end $$;
