-- Make claimed jobs pending again, in their old place in the line, as if they had not been claimed.

create or replace function public.give_back_media_jobs(p_poller text, p_ids uuid[], p_tokens integer[])
returns table (id uuid, source text)
language sql
volatile
set search_path = ''
as $$
    with released as (
        update public.media_processing_queue q
        set status = 'pending', attempts = q.attempts - 1, claimed_by = null, lease_until = null
        from unnest(p_ids, p_tokens) h (id, token)
        where q.id = h.id
            and q.fencing_token = h.token
            and q.claimed_by = p_poller
            and q.status = 'processing'
        returning q.id, q.source, q.attempts
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt)
        select r.id, 'released', p_poller, r.attempts + 1
        from released r
    )
    select r.id, r.source from released r;
$$;

comment on function public.give_back_media_jobs is
    'Give claimed jobs back, no attempt spent; returns those the poller still held, and their sources.';
