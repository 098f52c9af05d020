-- Third verdict, where begin_media_upload said encode: which bytes are stored, and where?
--
-- What did not become smaller, or is not fit to be stored, is stored as it came; where its metadata
-- must go all the same, that is asked for next, and an image that does not lose it is not stored. All is
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
    p_checks jsonb default null,
    p_problem_code text default null
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
    v_object public.media_objects := public.lock_media_reservation(p_id, p_object_id);
    v_media public.media;
    v_format public.media_formats := public.find_media_format(v_object.mime_type);
    v_bucket public.media_buckets;
    v_unfit text;
    v_done jsonb;
begin
    select m.* into v_media from public.media m where m.id = p_id;
    v_media.media_type := coalesce(v_media.media_type, v_format.media_type);
    v_bucket := public.route_media_content(v_media.media_type, v_format);
    if p_problem is null then
        v_unfit := public.judge_media_encoding(
            v_object, v_bucket, v_media.media_type, p_encoding, p_stored_size, p_checks);
    end if;
    v_done := jsonb_strip_nulls(p_encoding || jsonb_build_object('problem', coalesce(p_problem, v_unfit),
        'size', p_stored_size, 'checks', p_checks));

    if v_done -> 'problem' is null then
        verdict := 'upload';
        select p.* into object_id, bucket_name, storage_path, content_type, cache_control, stored_hash
        from public.place_media_object(v_object, v_bucket.bucket_name,
            (public.find_media_format(p_checks ->> 'mime_type')).mime_type, p_stored_hash, p_stored_size, v_done) p;
    elsif p_encoding ? 'codec' then -- what may be done is done without
        select r.* into verdict, object_id, bucket_name, storage_path, content_type, cache_control, stored_hash, encoding
        from public.store_without_codec(v_object, v_bucket, v_done) r;
    else -- what must be done is not
        select f.* into verdict, reason, bucket_name, storage_path, content_type, cache_control
        from public.fail_metadata_removal(v_job, v_media, v_object, v_done ->> 'problem',
            case when v_unfit is null then p_problem_code else 'unfit' end) f;
    end if;
    return next;
end;
$$;

comment on function public.settle_media_encoding is
    'Verdict on what was made of received bytes as p_encoding told: upload (the bytes with the SHA-256 stored_hash, the result or those that were received, to this bucket and path, with these headers) or encode (once more, as encoding tells now). Where metadata that must go is still there: rejected (dead letter), quarantine (first put the received bytes there, and call settle_media_quarantine), retry, paused (the poller) or failed, with the reason. p_problem: why there is no result; p_problem_code: kept (the file stands against it), check_failed (the encoder did not answer) or spool_full (no room for the result); p_stored_hash, p_stored_size (bytes), p_checks: the result, and what the content check found in it. Errors: MD001 lease lost, MD002 object not reserved for this attachment.';
grant execute on function public.settle_media_encoding to media_poller;
