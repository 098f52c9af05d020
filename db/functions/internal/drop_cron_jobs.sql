-- Take our jobs from pg_cron: the one of our name, and whatever else runs our command in this database,
-- as a job that somebody has renamed. What runs in another database is not ours, whatever its name.

create or replace function public.drop_cron_jobs(p_but_the_good_one boolean)
returns bigint[]
language plpgsql
volatile
set search_path = ''
as $$
-- plpgsql_check does not see that dynamic SQL writes:
-- @plpgsql_check_options: performance_warnings = off
declare
    v_jobs bigint[];
begin
    execute format($sql$
        select array_agg(j.jobid)
        from %I.job j
        where j.username = current_user
            and j.database = current_database()
            and (j.jobname = 'pgmedia maintenance' or j.command = 'select public.run_media_maintenance()')
            and not ($1 and j.active and j.jobname is not distinct from 'pgmedia maintenance')
    $sql$, 'cron') into v_jobs using p_but_the_good_one;
    execute format('select %I.unschedule(j) from unnest($1) j', 'cron') using v_jobs;
    return v_jobs;
end;
$$;

comment on function public.drop_cron_jobs is
    'Unschedule every job of pg_cron that runs maintenance in this database, but, if asked, for the one that is active under our name; returns the ids of those that went.';
