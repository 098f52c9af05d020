-- Renew all leases of a poller in one call. A row that does not come back was lost.
--
-- A row that a call has locked is left out and comes back all the same: it cannot be lost while that
-- call is under way, and were it waited for, one call that is held up would end all the others' leases.

create or replace function public.renew_media_leases(p_poller text, p_ids uuid[], p_tokens integer[])
returns setof uuid
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    with free as (
        select q.id
        from public.media_processing_queue q
        join unnest(p_ids, p_tokens) h (id, token) on h.id = q.id and h.token = q.fencing_token
        where q.claimed_by = p_poller and q.status = 'processing'
        for update of q skip locked
    ),
    renewed as (
        update public.media_processing_queue q
        set lease_until = clock_timestamp() + s.lease
        from public.media_settings s
        where q.id in (select f.id from free f)
    )
    select q.id
    from public.media_processing_queue q
    join unnest(p_ids, p_tokens) h (id, token) on h.id = q.id and h.token = q.fencing_token
    where q.claimed_by = p_poller and q.status = 'processing';
$$;

comment on function public.renew_media_leases is
    'Renew the leases of a poller''s jobs; returns the ids it still holds. Work on any other must be dropped.';
grant execute on function public.renew_media_leases to media_poller;
