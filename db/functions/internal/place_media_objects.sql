-- Under which path does reserved content go to storage, and as what? The path stays from attempt to
-- attempt, so that each overwrites what an earlier one left; only where that was of another type there is
-- a new reservation, and the file of the old one is queued for removal.

create or replace function public.place_media_objects(p_objects public.media_objects[])
returns setof public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_objects public.media_objects[] := p_objects;
    v_changed integer;
begin
    for v_changed in
        select n.ordinality
        from unnest(p_objects) with ordinality n
        join public.media_objects o on o.id = n.id
        where o.storage_path is not null
            and coalesce(o.stored_type, o.mime_type) <> coalesce(n.stored_type, n.mime_type)
        order by n.ordinality
    loop
        perform public.drop_media_reservations(v_objects[v_changed].leader_id);
        v_objects[v_changed].id := gen_random_uuid();
        insert into public.media_objects (id, content_hash, is_public, leader_id)
        select o.id, o.content_hash, o.is_public, o.leader_id
        from unnest(v_objects[v_changed:v_changed]) o;
    end loop;
    return query
    update public.media_objects o
    set
        file_size = n.file_size,
        mime_type = n.mime_type,
        checks = n.checks,
        bucket_name = coalesce(o.bucket_name, n.bucket_name),
        storage_path = coalesce(o.storage_path, to_char(o.created_at at time zone 'utc', 'YYYY/MM/') || o.id || '.' || f.extension),
        stored_type = n.stored_type,
        stored_hash = n.stored_hash,
        stored_size = n.stored_size,
        encoding = n.encoding
    from unnest(v_objects) n
    join public.media_formats f on f.mime_type = coalesce(n.stored_type, n.mime_type)
    where o.id = n.id
    returning o.*;
end;
$$;

comment on function public.place_media_objects is
    'Record reserved objects as they are given (what was received, and what is to be stored of it: stored_type, stored_hash, stored_size, encoding), and reserve the places that they are uploaded to. An object is a new one when an earlier attempt may have left a file of another type.';
