-- Who fetches content of which only the announced hash is known? What is stored already is not fetched,
-- where it may be stored as this attachment came: its type is known, and judged as its bytes would be.

create or replace function public.settle_announced_content(
    p_job public.media_processing_queue,
    p_media public.media,
    p_is_public boolean
)
returns table (verdict text, reason text)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects := public.reserve_media_object(p_job.id, p_media.whatsapp_sha256, p_is_public);
    v_format public.media_formats;
    v_bucket public.media_buckets;
    v_explanation text;
begin
    if v_object.state = 'stored' then
        v_format := public.find_media_format(v_object.mime_type);
        v_bucket := public.route_media_content(p_media.media_type, v_format);
        if v_bucket.is_public <> v_object.is_public then
            verdict := 'download'; -- what it was announced as led to another bucket than its bytes do
            return next;
            return;
        end if;
        select r.code, r.explanation into reason, v_explanation
        from public.judge_media_content(p_media.media_type, v_format, v_bucket,
            v_object.file_size, v_object.mime_type, p_media.mime_type, v_object.checks) r;
    end if;
    if reason is null then
        verdict := replace(public.settle_media_content(p_job, v_object), 'lead', 'download');
    else
        verdict := 'rejected';
        perform public.bury_media_job(p_job.id, reason, v_explanation);
    end if;
    return next;
end;
$$;

comment on function public.settle_announced_content is
    'Verdict on content with the hash that was announced for this attachment, whose media type leads to a public bucket or not: download, deduplicated, joined or rejected (dead letter, with the reason).';
