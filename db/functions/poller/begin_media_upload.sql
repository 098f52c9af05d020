-- Second verdict: the bytes are here, hashed and looked at; may they be stored, and where?
--
-- The object row is the reservation: only its leader uploads, and always to the same path, so that
-- a repeated attempt overwrites its own earlier try and nothing else.

create or replace function public.begin_media_upload(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_content_hash text,
    p_file_size bigint,
    p_mime_type text,
    p_checks jsonb default null
)
returns table (
    verdict text,
    reason text,
    object_id uuid,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text
)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
as $$
#variable_conflict use_column
declare
    v_job public.media_processing_queue := public.lock_media_job(p_id, p_poller, p_token);
    v_refusal record;
    v_media public.media;
    v_format public.media_formats;
    v_bucket public.media_buckets;
    v_object public.media_objects;
    v_checks jsonb;
begin
    perform public.end_media_pause(v_job.source); -- it has just handed out the bytes
    perform public.note_media_received(v_job);
    select m.* into v_media from public.media m where m.id = p_id;
    v_format := public.tell_media_format(p_mime_type, v_media.mime_type);
    v_checks := p_checks || jsonb_strip_nulls(jsonb_build_object('declared', v_media.mime_type));
    v_media.media_type := coalesce(v_media.media_type, v_format.media_type);
    select b.* into v_bucket from public.media_buckets b where v_media.media_type = any (b.media_types);

    select r.* into v_refusal
    from public.judge_media_content(v_media.media_type, v_format, v_bucket, p_file_size, p_mime_type, v_media.mime_type, v_checks) r;
    if v_media.whatsapp_sha256 <> p_content_hash and v_refusal.code is distinct from 'too_large' then
        verdict := 'retry';
        reason := 'hash_mismatch';
        perform public.retry_media_job(v_job, reason, format(
            'WhatsApp announced SHA-256 %s, the bytes have %s', v_media.whatsapp_sha256, p_content_hash));
        return next;
        return;
    end if;
    if v_refusal.code is not null then
        verdict := 'rejected';
        reason := v_refusal.code;
        perform public.reject_media_content(v_media, p_content_hash, p_file_size, v_refusal.code, v_refusal.explanation, v_checks);
        return next;
        return;
    end if;

    v_object := public.reserve_media_object(p_id, p_content_hash, v_bucket.is_public);
    verdict := replace(public.settle_media_content(v_job, v_object), 'lead', 'upload');
    if verdict = 'upload' then
        update public.media_objects o
        set
            file_size = p_file_size,
            mime_type = v_format.mime_type,
            checks = v_checks,
            bucket_name = coalesce(o.bucket_name, v_bucket.bucket_name),
            storage_path = coalesce(o.storage_path,
                to_char(o.created_at at time zone 'utc', 'YYYY/MM/') || o.id || '.' || v_format.extension)
        where o.id = v_object.id
        returning o.id, o.bucket_name, o.storage_path, o.mime_type
        into object_id, bucket_name, storage_path, content_type;
        cache_control := (select s.object_cache_control from public.media_settings s);
    end if;
    return next;
end;
$$;

comment on function public.begin_media_upload is
    'Verdict on received bytes: upload (to this bucket and path, with these headers), deduplicated, joined, rejected (dead letter, with the reason) or retry (hash mismatch). p_content_hash: SHA-256 hex; p_file_size: bytes; p_mime_type: detected from the bytes; p_checks: all that the content check found, kept with the object and in the audit trail. Error: MD001 lease lost.';
grant execute on function public.begin_media_upload to media_poller;
