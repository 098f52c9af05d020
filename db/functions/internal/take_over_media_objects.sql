-- Reservations whose leader is no longer at work, or cannot be because its number is paused, are led by
-- who wants the content now.

create or replace function public.take_over_media_objects(p_media_ids uuid[], p_objects public.media_objects[])
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_taken boolean := false;
begin
    for i in 1..cardinality(p_objects) loop
        continue when p_objects[i].state <> 'uploading' or p_objects[i].leader_id = p_media_ids[i];
        update public.media_objects o
        set leader_id = p_media_ids[i]
        where o.id = p_objects[i].id
            and not exists (
                select
                from public.media_processing_queue q
                where q.id = o.leader_id
                    and (q.status = 'processing'
                        or q.status = 'pending' and not public.is_source_paused(q.source)));
        v_taken := v_taken or found;
    end loop;
    return v_taken;
end;
$$;

comment on function public.take_over_media_objects is
    'Make each attachment the leader of the locked reservation of the same place, unless the one that leads it is, or will be, at work. Returns whether one was taken over.';
