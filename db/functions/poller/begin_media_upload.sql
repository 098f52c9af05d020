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
    cache_control text,
    stored_hash text,
    encoding jsonb
)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
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
    v_bucket := public.route_media_content(v_media.media_type, v_format);

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
        reason := v_refusal.code;
        select r.* into verdict, bucket_name, storage_path, content_type, cache_control
        from public.refuse_media_content(v_media, p_content_hash, p_file_size, reason, v_refusal.explanation, v_checks) r;
        return next;
        return;
    end if;

    v_object := public.reserve_media_object(p_id, p_content_hash, v_bucket.is_public);
    verdict := replace(public.settle_media_content(v_job, v_object), 'lead', 'upload');
    if verdict = 'upload' then
        select r.* into verdict, object_id, bucket_name, storage_path, content_type, cache_control, stored_hash, encoding
        from public.store_received_content(v_object, v_bucket, v_format.mime_type, p_file_size, v_checks) r;
    end if;
    return next;
end;
$$;

comment on function public.begin_media_upload is
    'Verdict on received bytes: upload (the received bytes, to this bucket and path, with these headers), encode (do to them what encoding says, see plan_media_encoding, and call settle_media_encoding), deduplicated, joined, rejected (dead letter, with the reason), quarantine (rejected; first put the bytes there, and call settle_media_quarantine) or retry (hash mismatch). p_content_hash: SHA-256 hex; p_file_size: bytes; p_mime_type: detected from the bytes; p_checks: all that the content check found, kept with the object and in the audit trail. Error: MD001 lease lost.';
grant execute on function public.begin_media_upload to media_poller;
