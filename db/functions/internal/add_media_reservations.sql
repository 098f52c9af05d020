-- Reservations for contents that have none and are not stored, led by those who ask. What is about to be
-- removed is rescued.
--
-- Rows go in ordered by hash, so that two groups wait for each other and never deadlock.

create or replace function public.add_media_reservations(
    p_media_ids uuid[],
    p_content_hashes text[],
    p_are_public boolean[]
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform public.rescue_media_object(k.media_id, k.content_hash, k.is_public)
    from unnest(p_media_ids, p_content_hashes, p_are_public) k (media_id, content_hash, is_public)
    where (select true
            from public.media_objects o
            where o.content_hash = k.content_hash and o.state = 'deleting'
            limit 1)
        and (select true
            from public.media_objects o
            where o.content_hash = k.content_hash and o.is_public = k.is_public and o.state <> 'deleting'
            limit 1) is null
    order by k.content_hash, k.is_public;

    insert into public.media_objects (content_hash, is_public, leader_id)
    select distinct on (k.content_hash, k.is_public) k.content_hash, k.is_public, k.media_id
    from unnest(p_media_ids, p_content_hashes, p_are_public)
        with ordinality k (media_id, content_hash, is_public, place)
    where (select true
        from public.media_objects o
        where o.content_hash = k.content_hash and o.is_public = k.is_public and o.state <> 'deleting'
        limit 1) is null
    order by k.content_hash, k.is_public, k.place
    on conflict (content_hash, is_public) where state <> 'deleting' do nothing;
end;
$$;

comment on function public.add_media_reservations is
    'Rescue from removal, or reserve anew, those of these contents that are neither stored nor reserved.';
