-- Maintenance every minute by pg_cron, and what it cleans up. Called again, the last call counts: what it
-- leaves out, or is null, is reset; a job that was switched off or renamed is made anew.

create or replace function public.schedule_media_maintenance(
    cleanup_days integer default null,
    cleanup_at time default '03:30',
    keep_accessed_days integer default null,
    schedule text default '* * * * *'
)
returns json
language plpgsql
volatile
security definer -- pg_cron runs the job as the owner, who has the rights
set search_path = ''
as $$
declare
    v_cron boolean := public.check_cron_access();
    v_database text;
begin
    perform public.check_cleanup_arguments(
        coalesce(schedule_media_maintenance.cleanup_days, 1), null, keep_accessed_days, 1);
    if schedule_media_maintenance.cleanup_at >= '24:00' then
        raise exception 'cleanup_at is %, not a time of day', schedule_media_maintenance.cleanup_at
            using errcode = 'MD022', hint = 'Pass a time from 00:00 on and before 24:00 (UTC).';
    end if;
    update public.media_settings
    set cleanup_days = schedule_media_maintenance.cleanup_days,
        cleanup_at = coalesce(schedule_media_maintenance.cleanup_at, '03:30'),
        cleanup_keep_accessed_days = schedule_media_maintenance.keep_accessed_days;
    if v_cron then
        perform public.drop_cron_jobs(p_but_the_good_one => true);
        execute format($sql$
            select j.database from %I.job j where j.jobname = 'pgmedia maintenance' and j.username = current_user
        $sql$, 'cron') into v_database;
        if v_database <> current_database() then
            raise exception 'pg_cron has a job "pgmedia maintenance" already, for the database %', v_database
                using errcode = 'MD025', hint = 'Give that job another name, or unschedule it; then call again.';
        end if;
        execute format('select %I.schedule($1, $2, $3)', 'cron')
        using 'pgmedia maintenance', schedule_media_maintenance.schedule, 'select public.run_media_maintenance()';
    end if;
    return (
        select json_build_object(
            'pg_cron', v_cron,
            'runs', case when v_cron then schedule_media_maintenance.schedule
                else 'pg_cron is not installed in this database: the pollers run maintenance, every minute' end,
            'cleanup_days', s.cleanup_days,
            'cleanup_at', s.cleanup_at,
            'cleanup_keep_accessed_days', s.cleanup_keep_accessed_days)
        from public.media_settings s);
end;
$$;

comment on function public.schedule_media_maintenance is
    'Let pg_cron run run_media_maintenance (schedule: a cron expression), and set the daily cleanup: days_old (null: none), from which time of day (UTC; null: 03:30), and what keep_accessed_days keeps (null: nothing); a later call resets what it leaves out. Returns what is set; without pg_cron "pg_cron" is false and pollers run it. Errors: MD022 days outside 1 to 36500 or cleanup_at 24:00, MD025 pg_cron may not be used, or has a job of this name for another database, and those of pg_cron.';
grant execute on function public.schedule_media_maintenance to media_admin;
