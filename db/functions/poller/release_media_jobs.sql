-- Give jobs back unfinished: they are due at once and have spent no attempt.

create or replace function public.release_media_jobs(p_poller text, p_ids uuid[], p_tokens integer[])
returns setof uuid
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    with released as (
        update public.media_processing_queue q
        set status = 'pending', attempts = q.attempts - 1, due_at = now(), claimed_by = null, lease_until = null
        from unnest(p_ids, p_tokens) h (id, token)
        where q.id = h.id
            and q.fencing_token = h.token
            and q.claimed_by = p_poller
            and q.status = 'processing'
        returning q.id, q.attempts
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt)
        select r.id, 'released', p_poller, r.attempts + 1
        from released r
    )
    select r.id from released r;
$$;

comment on function public.release_media_jobs is
    'Give claimed jobs back, due at once, no attempt spent. Returns those the poller still held.';
grant execute on function public.release_media_jobs to media_poller;
