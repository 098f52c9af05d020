-- Under which path does reserved content go to storage, and as what? The path stays from attempt to
-- attempt, so that each overwrites what an earlier one left, which was the same. Where it was of another
-- type or had other bytes there is a new reservation, and the file of the old one is queued for removal:
-- a late upload of it must not replace what is stored.

create or replace function public.place_media_objects(p_objects public.media_objects[])
returns setof public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_objects public.media_objects[] := p_objects;
    v_object public.media_objects;
    v_ids uuid[];
begin
    for i in 1..cardinality(p_objects) loop
        v_ids[i] := p_objects[i].id;
        continue when p_objects[i].storage_path is null;
        select o.* into v_object from public.media_objects o where o.id = p_objects[i].id;
        continue when coalesce(v_object.stored_type, v_object.mime_type, p_objects[i].mime_type)
            = coalesce(p_objects[i].stored_type, p_objects[i].mime_type)
            and coalesce(v_object.stored_hash, p_objects[i].stored_hash) = p_objects[i].stored_hash;
        perform public.drop_media_reservations(v_object.leader_id);
        insert into public.media_objects (content_hash, is_public, leader_id)
        values (v_object.content_hash, v_object.is_public, v_object.leader_id)
        returning id into v_object.id;
        v_objects[i].id := v_object.id;
        v_ids[i] := v_object.id;
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
    where o.id = any (v_ids) and o.id = n.id -- probes, however few rows statistics see
    returning o.*;
end;
$$;

comment on function public.place_media_objects is
    'Record reserved objects as they are given (what was received, and what is to be stored of it: stored_type, stored_hash, stored_size, encoding), and reserve the places that they are uploaded to. An object is a new one when an earlier attempt may have left a file of another type or with other bytes.';
