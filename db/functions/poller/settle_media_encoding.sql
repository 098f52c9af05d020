-- Third verdict, where begin_media_upload said encode: which bytes are stored, and where?
--
-- What did not become smaller, or is not fit to be stored, is stored as it came; where its metadata
-- must go all the same, that is asked for next, and an image that cannot lose it is not stored. All is
-- in the arguments, so that a repeated call has the same answer.

create or replace function public.settle_media_encoding(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_object_id uuid,
    p_encoding jsonb,
    p_problem text default null,
    p_stored_hash text default null,
    p_stored_size bigint default null,
    p_checks jsonb default null
)
returns table (
    verdict text,
    reason text,
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
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_job public.media_processing_queue := public.lock_media_job(p_id, p_poller, p_token);
    v_object public.media_objects;
    v_format public.media_formats;
    v_media_type text;
    v_bucket public.media_buckets;
    v_problem text := p_problem;
    v_done jsonb;
begin
    select o.* into v_object
    from public.media_objects o
    where o.id = p_object_id and o.state = 'uploading' and o.leader_id = p_id
    for update;
    if not found then
        raise exception 'object % is not reserved for media %', p_object_id, p_id
            using errcode = 'MD002', hint = 'Call begin_media_upload first and pass the object_id it returned.';
    end if;
    select f.* into v_format from public.media_formats f where f.mime_type = v_object.mime_type;
    select coalesce(m.media_type, v_format.media_type) into v_media_type from public.media m where m.id = p_id;
    v_bucket := public.route_media_content(v_media_type, v_format);

    v_problem := coalesce(v_problem,
        public.judge_media_encoding(v_object, v_bucket, v_media_type, p_encoding, p_stored_size, p_checks));
    v_done := jsonb_strip_nulls(p_encoding || jsonb_build_object('problem', v_problem,
        'size', p_stored_size, 'checks', p_checks));
    if v_problem is not null and p_encoding ? 'codec' then
        encoding := public.plan_media_encoding(v_bucket, v_object.mime_type, v_object.file_size, v_object.checks, false)
            || jsonb_build_object('tried', v_done);
    end if;

    if encoding is not null then
        verdict := 'encode';
        object_id := v_object.id;
    elsif v_problem is not null and not p_encoding ? 'codec' then
        reason := 'metadata_not_removed';
        verdict := 'retry';
        perform public.retry_media_job(v_job, reason, v_problem);
    else
        verdict := 'upload';
        select p.* into object_id, bucket_name, storage_path, content_type, cache_control, stored_hash
        from public.place_media_object(v_object, v_bucket.bucket_name,
            case when v_problem is null
                then (select f.mime_type from public.find_media_format(p_checks ->> 'mime_type') f) else v_object.mime_type end,
            case when v_problem is null then p_stored_hash else v_object.content_hash end,
            case when v_problem is null then p_stored_size else v_object.file_size end,
            v_done) p;
    end if;
    return next;
end;
$$;

comment on function public.settle_media_encoding is
    'Verdict on what was made of received bytes as p_encoding told: upload (the bytes with the SHA-256 stored_hash, the result or those that were received, to this bucket and path, with these headers), encode (once more, as encoding tells now) or retry (metadata that must go is still there). p_problem: why there is no result; p_stored_hash, p_stored_size (bytes), p_checks: the result, and what the content check found in it. Errors: MD001 lease lost, MD002 object not reserved for this attachment.';
grant execute on function public.settle_media_encoding to media_poller;
