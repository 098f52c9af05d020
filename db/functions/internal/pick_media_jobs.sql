-- The most urgent due jobs of these sources, locked; of each source, as many as it may be asked for.
--
-- They are found without a lock, and only those that are picked are locked: a lock of each row that was
-- looked at would cost more than all the rest. When somebody else has locked all of them, it is the next ones'
-- turn. Normally a source is one range of the index, in its order; while the beginning of that is known
-- to be full of dead rows, it is one for each priority, begun where its pending jobs begin.

create or replace function public.pick_media_jobs(p_sources text[], p_limit integer)
returns uuid[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_marked boolean := exists (
        select from public.media_sources s where s.source = any (p_sources) and s.due_from_until > now());
    v_blocks bigint := pg_stat_get_xact_blocks_fetched('public.media_processing_queue'::regclass);
    v_found uuid[];
    v_id uuid;
    v_picked uuid[] := '{}'::uuid[];
    v_passed uuid[] := '{}'::uuid[];
begin
    loop
        if v_marked then
            v_found := array(
                select r.id
                from (
                    select d.*, a.jobs,
                        row_number() over (partition by s.source order by d.priority, d.due_at, d.id) as place
                    from public.media_sources s
                    join public.get_source_allowances(p_sources) a on a.source = s.source
                    cross join generate_series(1, 10) p (priority)
                    cross join lateral (
                        select q.id, q.priority, q.due_at
                        from public.media_processing_queue q
                        where q.source = s.source and q.status = 'pending' and q.priority = p.priority
                            and q.due_at >= public.get_due_from(s, p.priority) and q.due_at <= now()
                            and q.id <> all (v_passed)
                        order by q.due_at, q.id
                        limit least(p_limit, a.jobs)
                    ) d
                    where s.source = any (p_sources) and a.jobs > 0
                ) r
                where r.place <= r.jobs
                order by r.priority, r.due_at, r.id
                limit p_limit);
        else
            v_found := array(
                select d.id
                from public.media_sources s
                join public.get_source_allowances(p_sources) a on a.source = s.source
                cross join lateral (
                    select q.id, q.priority, q.due_at
                    from public.media_processing_queue q
                    where q.source = s.source and q.status = 'pending' and q.due_at <= now()
                        and q.id <> all (v_passed)
                    order by q.priority, q.due_at, q.id
                    limit least(p_limit, a.jobs)
                ) d
                where s.source = any (p_sources) and a.jobs > 0
                order by d.priority, d.due_at, d.id
                limit p_limit);
        end if;
        for v_id in
            select q.id
            from public.media_processing_queue q
            where q.id = any (v_found)
                and (q.status = 'pending' and q.due_at <= now()) is true -- found by no index but that of the ids
            for update skip locked
        loop
            v_picked := v_picked || v_id;
        end loop;
        exit when v_picked <> '{}' or v_found = '{}';
        v_passed := v_passed || v_found;
    end loop;
    v_blocks := pg_stat_get_xact_blocks_fetched('public.media_processing_queue'::regclass) - v_blocks;
    if v_marked and v_blocks > 1000 + 100 * cardinality(p_sources) then
        perform public.mark_media_sources(p_sources); -- rows have died behind the marks
    end if;
    return v_picked;
end;
$$;

comment on function public.pick_media_jobs is
    'Lock up to p_limit due jobs of sources that are locked already, the most urgent, within the allowance of each.';
