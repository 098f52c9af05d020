-- The files are gone from storage: forget their objects. A missing file counts as removed.

create or replace function public.finish_media_deletions(p_poller text, p_ids uuid[], p_tokens integer[])
returns integer
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select public.end_media_pause('storage');

    with done as (
        delete from public.media_deletion_queue d
        using unnest(p_ids, p_tokens) h (id, token)
        where d.id = h.id
            and d.fencing_token = h.token
            and d.claimed_by = p_poller
            and d.status = 'processing'
        returning d.object_id
    ),
    forgotten as (
        delete from public.media_objects o
        using done d
        where o.id = d.object_id and o.state = 'deleting'
    )
    select count(*)::integer from done;
$$;

comment on function public.finish_media_deletions is
    'Record that files were removed from storage; returns how many of them the poller still held.';
grant execute on function public.finish_media_deletions to media_poller;
