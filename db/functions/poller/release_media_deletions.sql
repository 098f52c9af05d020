-- Give files to remove back: others may remove them at once. Where storage was asked to (p_begun), nobody
-- knows whether it did or still will: the attempt stays spent, so that rescue_media_object leaves the file
-- alone. Where it was not, it is as if the row had never been claimed.

create or replace function public.release_media_deletions(
    p_poller text,
    p_ids uuid[],
    p_tokens integer[],
    p_begun boolean[]
)
returns integer
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    with held as (
        select d.id, h.begun
        from public.media_deletion_queue d
        join unnest(p_ids, p_tokens, p_begun) h (id, token, begun)
            on h.id = d.id and h.token = d.fencing_token
        where d.claimed_by = p_poller -- so it is still processing
        order by d.id
        for update of d
    ),
    released as (
        update public.media_deletion_queue d
        set
            status = 'pending',
            due_at = now(),
            attempts = d.attempts - case when h.begun then 0 else 1 end,
            claimed_by = null,
            lease_until = null
        from held h
        where d.id = h.id
        returning d.id
    )
    select count(*)::integer from released;
$$;

comment on function public.release_media_deletions is
    'Give files to remove back, due at once; the attempt is spent where p_begun says that storage was asked to remove the file. Returns how many the poller still held.';
grant execute on function public.release_media_deletions to media_poller;
