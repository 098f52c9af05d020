-- pg_cron never prunes what it notes about runs: that of our job, after a week.

create or replace function public.prune_cron_runs()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- plpgsql_check does not see that dynamic SQL writes:
-- @plpgsql_check_options: performance_warnings = off
declare
    v_count integer := 0;
begin
    if to_regclass('cron.job_run_details') is not null then
        execute format($sql$
            delete from %1$I.job_run_details d
            using %1$I.job j
            where j.jobid = d.jobid and j.jobname = 'pgmedia maintenance' and d.end_time < now() - interval '7 days'
        $sql$, 'cron');
        get diagnostics v_count = row_count;
    end if;
    return v_count;
exception
    when insufficient_privilege then
        return 0;
end;
$$;

comment on function public.prune_cron_runs is
    'Delete what pg_cron noted about runs of our job more than a week ago; returns how many. 0 without pg_cron.';
