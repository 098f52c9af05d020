-- The fence: lock claimed jobs for the poller that holds them, or raise MD001.
--
-- Every write of a poller begins here. A row that was claimed again carries a higher token, so a
-- poller that lost its lease changes nothing, however late its call arrives. The media row is
-- locked before the queue row everywhere, as a deletion does, which so waits instead of deadlocking.

create or replace function public.lock_media_jobs(p_poller text, p_ids uuid[], p_tokens integer[])
returns public.media_processing_queue[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_job public.media_processing_queue;
    v_jobs public.media_processing_queue[] := '{}'::public.media_processing_queue[];
    v_lost record;
begin
    for v_job in
        select q.*
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.id = any (p_ids)
            and m.id = any (p_ids)
            and (q.status = 'processing'
                and q.claimed_by = p_poller
                and q.fencing_token = p_tokens[array_position(p_ids, q.id)]) is true -- found by no index but that of the ids
        order by q.id
        for key share of m
        for update of q
    loop
        v_jobs := v_jobs || v_job;
    end loop;
    if cardinality(v_jobs) < cardinality(p_ids) then
        select k.* into v_lost
        from unnest(p_ids, p_tokens) k (id, token)
        where k.id not in (select q.id from unnest(v_jobs) q)
        limit 1;
        raise exception 'poller % no longer holds media % (fencing token %)', p_poller, v_lost.id, v_lost.token
            using errcode = 'MD001', hint = 'Another poller took it over, or it is done: drop this result.';
    end if;
    if cardinality(p_ids) > 1 then
        v_jobs := array(select q from unnest(v_jobs) q order by array_position(p_ids, q.id));
    end if;
    return v_jobs;
end;
$$;

comment on function public.lock_media_jobs is
    'Lock claimed jobs for the poller that holds them, and return them in the order of p_ids. MD001 when the lease of one was lost.';
