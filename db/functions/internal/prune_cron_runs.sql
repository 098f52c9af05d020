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
            where d.command = 'select public.run_media_maintenance()'
                and (coalesce(d.end_time, d.start_time) < now() - interval '7 days'
                    or d.start_time is null -- it never began: there are 10080 minutes in a week
                        and d.runid < (select max(x.runid) - 10080 from %1$I.job_run_details x))
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
