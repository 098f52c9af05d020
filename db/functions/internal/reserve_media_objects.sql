-- The objects of contents, locked: the ones that exist, or new reservations led by those who ask.
--
-- A content whose deletion has not begun is rescued; one whose file is being removed right now is
-- stored anew under another path. A reservation whose leader is no longer at work, or cannot be because
-- its number is paused, is taken over. Rows are first added and then locked, both in the order of their
-- hashes, so that two groups wait for each other and never deadlock.

create or replace function public.reserve_media_objects(
    p_media_ids uuid[],
    p_content_hashes text[],
    p_are_public boolean[]
)
returns public.media_objects[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_objects public.media_objects[];
begin
    loop
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

        perform
        from public.media_objects o
        where o.content_hash = any (p_content_hashes) and o.state <> 'deleting'
        order by o.content_hash, o.is_public
        for update;

        perform public.take_over_media_object(k.media_id, o.id)
        from unnest(p_media_ids, p_content_hashes, p_are_public) k (media_id, content_hash, is_public)
        cross join lateral (
            select f.*
            from public.media_objects f
            where f.content_hash = k.content_hash and f.is_public = k.is_public and f.state <> 'deleting'
            limit 1
        ) o
        where o.leader_id <> k.media_id;

        v_objects := array(
            select (
                select o::public.media_objects
                from public.media_objects o
                where o.content_hash = k.content_hash and o.is_public = k.is_public and o.state <> 'deleting'
                limit 1)
            from unnest(p_content_hashes, p_are_public) with ordinality k (content_hash, is_public, place)
            order by k.place);
        exit when array_position(v_objects, null) is null;
        -- another transaction was first, and has given one up meanwhile: look again
    end loop;
    return v_objects;
end;
$$;

comment on function public.reserve_media_objects is
    'The objects of contents, locked for update, in the order asked for: the stored one, somebody''s reservation, or a new one led by the attachment.';
