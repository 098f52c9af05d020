-- Received content that this attachment leads is fit to be stored: at once, or encoded first.

create or replace function public.store_received_content(
    p_object public.media_objects,
    p_bucket public.media_buckets,
    p_mime_type text,
    p_file_size bigint,
    p_checks jsonb
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
declare
    v_object public.media_objects;
    v_tried jsonb;
begin
    update public.media_objects o
    set file_size = p_file_size, mime_type = p_mime_type, checks = p_checks
    where o.id = (p_object).id
    returning o.* into v_object;
    v_tried := coalesce(v_object.encoding -> 'tried', v_object.encoding);
    if v_tried ? 'refused_by' then -- in an earlier attempt
        return query select s.* from public.store_without_codec(v_object, p_bucket, v_tried) s;
        return;
    end if;
    encoding := public.plan_media_encoding(p_bucket, p_mime_type, p_file_size, p_checks);
    if encoding is not null then
        verdict := 'encode';
        object_id := v_object.id;
    else
        verdict := 'upload';
        select p.* into object_id, bucket_name, storage_path, content_type, cache_control, stored_hash
        from public.place_media_object(
            v_object, (p_bucket).bucket_name, p_mime_type, v_object.content_hash, p_file_size) p;
    end if;
    return next;
end;
$$;

comment on function public.store_received_content is
    'Record what was received for a reserved object, and say what is next: encode (as encoding tells) or upload (where to and with which headers). Type, size (bytes) and checks are those of the received bytes.';
