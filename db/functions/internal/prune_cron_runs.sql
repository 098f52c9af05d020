-- pg_cron never prunes what it notes about runs: that of our job, after a week.
--
-- There may be millions of others', so a call looks at the next p_limit runs behind those that were old
-- already the last time. Ids that start again, as in a pg_cron that was made anew, are met from the first.

create or replace function public.prune_cron_runs(p_limit integer default 10000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- plpgsql_check does not see that dynamic SQL writes:
-- @plpgsql_check_options: performance_warnings = off
declare
    v_newest bigint;
    v_place bigint;
    v_ids bigint[];
    v_count integer := 0;
begin
    if to_regclass('cron.job_run_details') is null then
        return 0;
    end if;
    execute format('select max(d.runid) from %I.job_run_details d', 'cron') into v_newest;
    select case when r.cron_pruned_to <= v_newest then r.cron_pruned_to else 0 end into v_place
    from public.media_maintenance r;
    execute format($sql$
        with looked as (
            select d.runid,
                d.command = 'select public.run_media_maintenance()' as is_ours,
                coalesce(
                    coalesce(d.end_time, d.start_time) < now() - interval '7 days',
                    d.runid < $2 - 10080) as is_old -- it never began: there are 10080 minutes in a week
            from %I.job_run_details d
            where d.runid > $1
            order by d.runid
            limit $3
        )
        select array_agg(l.runid) filter (where l.is_old and l.is_ours),
            coalesce(min(l.runid) filter (where not l.is_old) - 1, max(l.runid), $1)
        from looked l
    $sql$, 'cron') into v_ids, v_place using v_place, v_newest, p_limit;
    execute format('delete from %I.job_run_details d where d.runid = any ($1)', 'cron') using v_ids;
    get diagnostics v_count = row_count;
    update public.media_maintenance r
    set cron_pruned_to = v_place
    where r.cron_pruned_to <> v_place;
    return v_count;
exception
    when insufficient_privilege then
        return 0;
end;
$$;

comment on function public.prune_cron_runs is
    'Delete what pg_cron noted about runs of our job more than a week ago, among the next p_limit runs; returns how many. 0 without pg_cron.';
