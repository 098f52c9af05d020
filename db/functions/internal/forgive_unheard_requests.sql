-- WhatsApp has granted requests for files: the same requests of the files' earlier attempts, which ended
-- unheard, were not refused either. What it grants for one file says nothing of another. When it has denied
-- the number everything since, they go on counting.

create or replace function public.forgive_unheard_requests(p_ids uuid[], p_granted text[])
returns void
language sql
volatile
set search_path = ''
as $$
    delete from public.media_unheard_requests u
    where (u.media_id, u.fencing_token) in (
        select e.media_id, e.fencing_token
        from public.media_unheard_requests e
        where e.media_id = any (p_ids)
            and e.request = any (p_granted)
            and not exists (
                select from public.media_sources m where m.source = e.source and m.denied_at >= e.asked_at)
        for update of e skip locked);
$$;

comment on function public.forgive_unheard_requests is
    'Forget the unheard requests for these files that WhatsApp has just granted: p_granted, as in media_unheard_requests.request.';
