-- WhatsApp has granted requests for a file: the same requests of the file's earlier attempts, which ended
-- unheard, were not refused either. What it grants for one file says nothing of another. When it has denied
-- the number everything since, they go on counting.

create or replace function public.forgive_unheard_requests(p_job public.media_processing_queue, p_granted text[])
returns void
language sql
volatile
set search_path = ''
as $$
    delete from public.media_unheard_requests u
    where u.media_id = p_job.id
        and u.fencing_token in (
            select e.fencing_token
            from public.media_unheard_requests e
            where e.media_id = p_job.id
                and e.request = any (p_granted)
                and not exists (
                    select from public.media_sources m where m.source = e.source and m.denied_at >= e.asked_at)
            for update of e skip locked);
$$;

comment on function public.forgive_unheard_requests is
    'Forget the unheard requests of this job''s file that WhatsApp has just granted: p_granted, as in media_unheard_requests.request.';
