-- First verdict: what WhatsApp says about the file is known, its bytes are not.
--
-- What the media endpoint says outranks the webhook, which counts where the endpoint was not asked.
-- Content that is stored already, or on its way, is not downloaded; what is too large or of a type
-- that is never stored is not even begun.

create or replace function public.describe_media_source(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_mime_type text,
    p_file_size bigint,
    p_sha256 text
)
returns table (verdict text, reason text, max_bytes bigint)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
declare
    v_job public.media_processing_queue := public.lock_media_job(p_id, p_poller, p_token);
    v_asked boolean := num_nonnulls(p_mime_type, p_file_size, p_sha256) > 0; -- WhatsApp was, and answered
    v_format public.media_formats := public.find_media_format(p_mime_type);
    v_media public.media;
    v_settles boolean;
    v_bucket public.media_buckets;
    v_object public.media_objects;
    v_explanation text;
begin
    update public.media m
    set
        media_type = coalesce(m.media_type, v_format.media_type),
        mime_type = coalesce(public.normalize_mime_type(p_mime_type), m.mime_type),
        file_size = coalesce(p_file_size, m.file_size),
        whatsapp_sha256 = coalesce(public.normalize_media_hash(p_sha256), m.whatsapp_sha256)
    where m.id = p_id
    returning m.* into v_media;
    if p_mime_type is null then
        v_format := public.find_media_format(v_media.mime_type);
    end if;
    v_bucket := public.route_media_content(v_media.media_type, v_format);
    max_bytes := public.get_size_limit(v_bucket);
    if v_asked then
        perform public.end_media_pause(v_job.source);
        perform public.forgive_unheard_requests(v_job, array['metadata']);
    end if;
    if p_file_size > max_bytes then
        reason := 'too_large';
        perform public.bury_media_job(p_id, reason, format('%s bytes announced, %s allowed', p_file_size, max_bytes));
    elsif v_media.mime_type <> 'application/octet-stream' and v_format.mime_type is null then
        reason := 'type_not_allowed';
        perform public.bury_media_job(p_id, reason, format('announced as %s', v_media.mime_type));
    end if;
    v_settles := reason is null and v_media.whatsapp_sha256 is not null and v_bucket.bucket_name is not null;
    if v_settles and v_job.content_hash is distinct from v_media.whatsapp_sha256 then
        perform public.free_waiting_media(p_id); -- they wait for other content
    end if;
    update public.media_processing_queue q
    set
        source_answered = q.source_answered or v_asked,
        content_hash = case when v_settles then v_media.whatsapp_sha256 else q.content_hash end
    where q.id = p_id;
    if reason is not null then
        verdict := 'rejected';
    elsif not v_settles then
        verdict := 'download';
    else
        v_object := public.reserve_media_object(p_id, v_media.whatsapp_sha256, v_bucket.is_public);
        if v_object.state = 'stored' then -- its type is known: judged as its bytes would be
            select r.code, r.explanation into reason, v_explanation
            from public.judge_media_content(v_media.media_type,
                public.find_media_format(v_object.mime_type),
                v_bucket, v_object.file_size, v_object.mime_type, v_media.mime_type, v_object.checks) r;
        end if;
        if v_object.state = 'stored' and (public.route_media_content(v_media.media_type,
            public.find_media_format(v_object.mime_type))).is_public <> v_object.is_public
        then
            verdict := 'download'; -- what it was announced as led to another bucket than its bytes do
            reason := null;
        elsif reason is null then
            verdict := replace(public.settle_media_content(v_job, v_object), 'lead', 'download');
        else
            verdict := 'rejected';
            perform public.bury_media_job(p_id, reason, v_explanation);
        end if;
    end if;
    return next;
end;
$$;

comment on function public.describe_media_source is
    'Verdict on a file before its download: download (at most max_bytes), deduplicated, joined (wait for another attachment''s download) or rejected (dead letter, with the reason). Error: MD001 lease lost.';
grant execute on function public.describe_media_source to media_poller;
