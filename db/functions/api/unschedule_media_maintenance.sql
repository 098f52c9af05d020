-- Take back schedule_media_maintenance: no job of pg_cron nor what it noted of its runs, no daily cleanup.
-- Pollers keep house.

create or replace function public.unschedule_media_maintenance()
returns boolean
language plpgsql
volatile
security definer -- pg_cron's job is the owner's
set search_path = ''
as $$
declare
    v_jobs bigint[];
begin
    update public.media_settings
    set cleanup_days = null, cleanup_keep_accessed_days = null;
    if not public.check_cron_access() then
        return false;
    end if;
    v_jobs := public.drop_cron_jobs(p_but_the_good_one => false);
    execute format('delete from %I.job_run_details d where d.jobid = any ($1)', 'cron') using v_jobs;
    return v_jobs is not null;
end;
$$;

comment on function public.unschedule_media_maintenance is
    'Remove every job of pg_cron that runs maintenance in this database, renamed or not, with what it noted about its runs, and the daily cleanup that schedule_media_maintenance set. Returns false when there was no job. Error: MD025 pg_cron may not be used.';
grant execute on function public.unschedule_media_maintenance to media_admin;
