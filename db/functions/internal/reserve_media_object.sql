-- The object of a content, locked: the one that exists, or a new reservation led by p_media_id.
--
-- A content whose deletion has not begun is rescued; one whose file is being removed right now is
-- stored anew under another path. A reservation whose leader is no longer at work, or cannot be because
-- its number is paused, is taken over.

create or replace function public.reserve_media_object(
    p_media_id uuid,
    p_content_hash text,
    p_is_public boolean
)
returns public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
begin
    loop
        select o.* into v_object
        from public.media_objects o
        where o.content_hash = p_content_hash
            and o.is_public = p_is_public
            and o.state <> 'deleting'
        for update;
        exit when found;

        v_object := public.rescue_media_object(p_media_id, p_content_hash, p_is_public);
        exit when v_object.id is not null;

        insert into public.media_objects (content_hash, is_public, leader_id)
        values (p_content_hash, p_is_public, p_media_id)
        on conflict (content_hash, is_public) where state <> 'deleting' do nothing
        returning * into v_object;
        exit when found;
        -- another transaction was first and has committed: look again
    end loop;

    if v_object.state = 'uploading' and v_object.leader_id <> p_media_id then
        if not exists (
            select
            from public.media_processing_queue q
            where q.id = v_object.leader_id
                and (q.status = 'processing'
                    or q.status = 'pending' and not public.is_source_paused(q.source))
        ) then
            update public.media_objects o
            set leader_id = p_media_id
            where o.id = v_object.id
            returning * into v_object;
        end if;
    end if;
    return v_object;
end;
$$;

comment on function public.reserve_media_object is
    'The object of a content, locked for update: the stored one, somebody''s reservation, or a new one led by this attachment.';
