-- To compress this content has come to nothing: it is stored as it came, but for metadata that must go.

create or replace function public.store_without_codec(
    p_object public.media_objects,
    p_bucket public.media_buckets,
    p_tried jsonb
)
returns table (
    verdict text,
    object_id uuid,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text,
    stored_hash text,
    encoding jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
begin
    encoding := public.plan_media_encoding(p_bucket, p_object.mime_type, p_object.file_size, p_object.checks, false)
        || jsonb_build_object('tried', p_tried);
    if encoding is not null then
        verdict := 'encode';
        object_id := p_object.id;
    else
        verdict := 'upload';
        select p.* into object_id, bucket_name, storage_path, content_type, cache_control, stored_hash
        from public.place_media_object(p_object, p_bucket.bucket_name,
            p_object.mime_type, p_object.content_hash, p_object.file_size, p_tried) p;
    end if;
    return next;
end;
$$;

comment on function public.store_without_codec is
    'What is next for received content that is not to be compressed after all: encode (without its metadata, as encoding tells) or upload (where to and with which headers). p_tried: the encoding that was tried, and its problem.';
