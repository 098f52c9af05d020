-- Who waits for content that is now stored, and may refer to this object, locked; whomever it waits for.
-- Anybody else is freed with its leader's end or at its recheck, and judged for itself.

create or replace function public.find_waiting_media(p_object public.media_objects)
returns uuid[]
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_id uuid;
    v_waiting uuid[] := '{}'::uuid[];
begin
    for v_id in
        select q.id
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.content_hash = p_object.content_hash
            and q.status = 'waiting'
            and exists (
                select
                from public.media_formats f
                where f.mime_type = p_object.mime_type
                    and coalesce(m.media_type, f.media_type) = any (f.arrives_as)
                    and (public.route_media_content(m.media_type, f)).is_public = p_object.is_public)
        order by q.id
        for key share of m
        for update of q
    loop
        v_waiting := v_waiting || v_id;
    end loop;
    return v_waiting;
end;
$$;

comment on function public.find_waiting_media is
    'The attachments that wait for the content of this object and may refer to it, locked.';
