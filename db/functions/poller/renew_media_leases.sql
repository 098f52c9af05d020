-- Renew all leases of a poller in one call. A row that does not come back was lost.

create or replace function public.renew_media_leases(p_poller text, p_ids uuid[], p_tokens integer[])
returns setof uuid
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    update public.media_processing_queue q
    set lease_until = clock_timestamp() + s.lease
    from public.media_settings s, unnest(p_ids, p_tokens) h (id, token)
    where q.id = h.id
        and q.fencing_token = h.token
        and q.claimed_by = p_poller
        and q.status = 'processing'
    returning q.id;
$$;

comment on function public.renew_media_leases is
    'Renew the leases of a poller''s jobs; returns the ids it still holds. Work on any other must be dropped.';
grant execute on function public.renew_media_leases to media_poller;
