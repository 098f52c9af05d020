-- One object, as settle_media_encoding has it: see place_media_objects.

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
    v_object.bucket_name := p_bucket_name;
    v_object.stored_type := nullif(p_stored_type, p_object.mime_type);
    v_object.stored_hash := p_stored_hash;
    v_object.stored_size := p_stored_size;
    v_object.encoding := p_encoding;
    return query
    select o.id, o.bucket_name, o.storage_path, p_stored_type, s.object_cache_control, o.stored_hash
    from public.place_media_objects(array[v_object]) o
    cross join public.media_settings s;
end;
$$;

comment on function public.place_media_object is
    'Reserve the place of content that is about to be uploaded, of this type, SHA-256 (hex) and size (bytes), encoded as p_encoding tells or, null, as it came; returns where to and with which headers. The object is a new one when an earlier attempt may have left a file of another type or with other bytes.';
