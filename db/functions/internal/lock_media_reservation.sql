-- The object that an attachment leads, locked; MD002 where it leads none.
--
-- A repeated call names the one that its first call has replaced by another.

create or replace function public.lock_media_reservation(p_media_id uuid, p_object_id uuid)
returns public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
begin
    select o.* into v_object
    from public.media_objects o
    where o.leader_id = p_media_id
        and o.state = 'uploading'
        and (o.id = p_object_id or not exists (select from public.media_objects x where x.id = p_object_id))
    for update;
    if not found then
        raise exception 'object % is not reserved for media %', p_object_id, p_media_id
            using errcode = 'MD002', hint = 'Call begin_media_upload first and pass the object_id it returned.';
    end if;
    return v_object;
end;
$$;

comment on function public.lock_media_reservation is
    'The object that is reserved for this attachment, locked: the one of this id, or the one in its place. Error: MD002 none is.';
