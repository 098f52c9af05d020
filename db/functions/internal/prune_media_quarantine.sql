-- Refused bytes whose time is over leave the quarantine, by way of the deletion queue.

create or replace function public.prune_media_quarantine(p_limit integer default 1000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    with over as (
        delete from public.media_quarantine q
        where q.id = any (array(
            select x.id
            from public.media_quarantine x
            where x.keep_until < now()
            order by x.keep_until
            limit p_limit
            for update skip locked
        ))
        returning q.storage_path
    )
    insert into public.media_deletion_queue (bucket_name, storage_path, reason)
    select 'media-quarantine', o.storage_path, 'quarantine over'
    from over o;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_media_quarantine is
    'Queue up to p_limit files of the quarantine for removal whose keep_until is over, and forget them; returns how many.';
