-- A reservation whose leader is no longer at work, or cannot be because its number is paused, is led by
-- who wants the content now.

create or replace function public.take_over_media_object(p_media_id uuid, p_object_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_objects o
    set leader_id = p_media_id
    where o.id = p_object_id
        and o.state = 'uploading'
        and not exists (
            select
            from public.media_processing_queue q
            where q.id = o.leader_id
                and (q.status = 'processing'
                    or q.status = 'pending' and not public.is_source_paused(q.source)));
end;
$$;

comment on function public.take_over_media_object is
    'Make this attachment the leader of a locked reservation, unless the one that leads it is, or will be, at work.';
