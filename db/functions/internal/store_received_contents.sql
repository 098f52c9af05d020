-- Received contents that are fit to be stored: who uploads them, where to, and do they have to be
-- encoded first?

create or replace function public.store_received_contents(
    p_jobs public.media_processing_queue[],
    p_received public.media_objects[]
)
returns table (
    id uuid,
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
    v_objects public.media_objects[] := public.reserve_media_objects(
        array(select j.id from unnest(p_jobs) j),
        array(select r.content_hash from unnest(p_received) r),
        array(select r.is_public from unnest(p_received) r));
    v_verdicts text[] := public.settle_media_contents(p_jobs, v_objects);
    v_object public.media_objects;
    v_bucket public.media_buckets;
    v_placed public.media_objects[] := '{}'::public.media_objects[];
    v_tried jsonb;
begin
    for i in 1..cardinality(p_jobs) loop
        id := p_jobs[i].id;
        verdict := v_verdicts[i];
        if verdict <> 'lead' then
            return next;
            continue;
        end if;
        v_object := v_objects[i];
        v_object.file_size := p_received[i].file_size;
        v_object.mime_type := p_received[i].mime_type;
        v_object.checks := p_received[i].checks;
        select b.* into v_bucket from public.media_buckets b where b.bucket_name = p_received[i].bucket_name;
        v_tried := coalesce(v_object.encoding -> 'tried', v_object.encoding);
        v_tried := case when v_tried ? 'refused_by' then v_tried end; -- in an earlier attempt
        encoding := public.plan_media_encoding(
            v_bucket, v_object.mime_type, v_object.file_size, v_object.checks, v_tried is null);
        if encoding is not null then
            update public.media_objects o
            set file_size = v_object.file_size, mime_type = v_object.mime_type, checks = v_object.checks
            where o.id = v_object.id;
            encoding := encoding || jsonb_strip_nulls(jsonb_build_object('tried', v_tried));
            verdict := 'encode';
            object_id := v_object.id;
            return next;
            object_id := null;
        else
            v_object.bucket_name := v_bucket.bucket_name;
            v_object.stored_type := null;
            v_object.stored_hash := v_object.content_hash;
            v_object.stored_size := v_object.file_size;
            v_object.encoding := v_tried;
            v_placed := v_placed || v_object;
        end if;
    end loop;
    return query
    select o.leader_id, 'upload', o.id, o.bucket_name, o.storage_path, o.mime_type, s.object_cache_control, o.stored_hash, null::jsonb
    from public.place_media_objects(v_placed) o
    cross join public.media_settings s;
end;
$$;

comment on function public.store_received_contents is
    'Reserve contents that were received (p_received: objects with content_hash, is_public, bucket_name, file_size, mime_type and checks), record them, and say what is next for each job: upload (where to and with which headers), encode (as encoding tells), deduplicated or joined. Each array has a place for each job.';
