-- A number that answers does not refuse: what ended unheard before these attempts began was not refused
-- either, as far as that can be known. When the number has refused anything since, it goes on counting.

create or replace function public.forgive_unheard_requests(p_jobs public.media_processing_queue[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_job public.media_processing_queue;
begin
    for v_job in
        select j.*
        from unnest(p_jobs) j
        where (select true from public.media_unheard_requests u where u.source = j.source limit 1)
    loop
        delete from public.media_unheard_requests u
        where (u.media_id, u.fencing_token) in (
            select e.media_id, e.fencing_token
            from public.media_unheard_requests e
            join public.media_sources m on m.source = e.source
            where e.source = v_job.source
                and e.ended_at <= v_job.claimed_at
                and not exists (select from unnest(m.refused_at) t (at) where t.at >= e.asked_at)
            for update of e skip locked
        );
    end loop;
end;
$$;

comment on function public.forgive_unheard_requests is
    'Forget the unheard requests of numbers that have just answered requests of these jobs, claimed after they ended.';
