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
    v_locked public.media_objects[];
    v_objects public.media_objects[];
    v_missing boolean;
    v_led boolean;
begin
    loop
        if exists (
            select
            from unnest(p_content_hashes, p_are_public) k (content_hash, is_public)
            where (select true
                from public.media_objects o
                where o.content_hash = k.content_hash and o.is_public = k.is_public and o.state <> 'deleting'
                limit 1) is null -- a probe, never a join
        ) then
            perform public.add_media_reservations(p_media_ids, p_content_hashes, p_are_public);
        end if;
        v_locked := array(
            select o::public.media_objects
            from public.media_objects o
            where o.content_hash = any (p_content_hashes) and o.state <> 'deleting'
            order by o.content_hash, o.is_public
            for update
        );
        select array_agg(o::public.media_objects order by k.place), bool_or(o.id is null), bool_or(o.leader_id <> k.media_id)
        into v_objects, v_missing, v_led
        from unnest(p_media_ids, p_content_hashes, p_are_public)
            with ordinality k (media_id, content_hash, is_public, place)
        left join unnest(v_locked) o on o.content_hash = k.content_hash and o.is_public = k.is_public;
        continue when v_missing; -- one was given up meanwhile: look again
        exit when v_led is not true or not public.take_over_media_objects(p_media_ids, v_objects);
    end loop;
    return v_objects;
end;
$$;

comment on function public.reserve_media_objects is
    'The objects of contents, locked for update, in the order asked for: the stored one, somebody''s reservation, or a new one led by the attachment.';
