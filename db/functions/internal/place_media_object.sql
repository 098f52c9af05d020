-- Under which path does reserved content go to storage, and as what? The path stays from attempt to
-- attempt, so that each overwrites what an earlier one left; only where that was of another type there is
-- a new reservation, and the file of the old one is queued for removal.

create or replace function public.place_media_object(
    p_object public.media_objects,
    p_bucket_name text,
    p_stored_type text,
    p_stored_hash text,
    p_stored_size bigint,
    p_encoding jsonb default null
)
returns table (
    object_id uuid,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text,
    stored_hash text
)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_object public.media_objects := p_object;
begin
    if v_object.storage_path is not null and coalesce(v_object.stored_type, v_object.mime_type) <> p_stored_type then
        perform public.drop_media_reservations(v_object.leader_id);
        insert into public.media_objects (content_hash, is_public, leader_id, file_size, mime_type, checks)
        values (p_object.content_hash, p_object.is_public, p_object.leader_id,
            p_object.file_size, p_object.mime_type, p_object.checks)
        returning * into v_object;
    end if;
    update public.media_objects o
    set
        bucket_name = coalesce(o.bucket_name, p_bucket_name),
        storage_path = coalesce(o.storage_path, to_char(o.created_at at time zone 'utc', 'YYYY/MM/') || o.id || '.'
            || (select f.extension from public.media_formats f where f.mime_type = p_stored_type)),
        stored_type = nullif(p_stored_type, o.mime_type),
        stored_hash = p_stored_hash,
        stored_size = p_stored_size,
        encoding = p_encoding
    where o.id = v_object.id
    returning * into v_object;
    return query
    select v_object.id, v_object.bucket_name, v_object.storage_path, p_stored_type, s.object_cache_control, p_stored_hash
    from public.media_settings s;
end;
$$;

comment on function public.place_media_object is
    'Reserve the place of content that is about to be uploaded, of this type, SHA-256 (hex) and size (bytes), encoded as p_encoding tells or, null, as it came; returns where to and with which headers. The object is a new one when an earlier attempt may have left a file of another type.';
