-- A number that answers does not refuse: what ended unheard before this attempt began was not refused
-- either, as far as that can be known. When the number has refused anything since, it goes on counting.

create or replace function public.forgive_unheard_requests(p_job public.media_processing_queue)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    if not exists (select from public.media_unheard_requests u where u.source = p_job.source) then
        return;
    end if;
    delete from public.media_unheard_requests u
    where (u.media_id, u.fencing_token) in (
        select e.media_id, e.fencing_token
        from public.media_unheard_requests e
        join public.media_sources m on m.source = e.source
        where e.source = p_job.source
            and e.ended_at <= p_job.claimed_at
            and not exists (select from unnest(m.refused_at) t (at) where t.at >= e.asked_at)
        for update of e skip locked
    );
end;
$$;

comment on function public.forgive_unheard_requests is
    'Forget the unheard requests of a number that has just answered a request of this job, claimed after they ended.';
