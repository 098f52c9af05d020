-- Received bytes that are not stored: fetched again when they are not those that were announced, else
-- the end of their attachment, though they may be kept aside first.

create or replace function public.refuse_received_content(
    p_job public.media_processing_queue,
    p_media public.media,
    p_received public.media_objects,
    p_code text,
    p_explanation text
)
returns table (verdict text, bucket_name text, storage_path text, content_type text, cache_control text)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
begin
    if p_code = 'hash_mismatch' then
        verdict := 'retry';
        perform public.retry_media_job(p_job, p_code, p_explanation);
        return next;
        return;
    end if;
    return query
    select r.verdict, r.bucket_name, r.storage_path, r.content_type, r.cache_control
    from public.refuse_media_content(
        p_media, p_received.content_hash, p_received.file_size, p_code, p_explanation, p_received.checks) r;
end;
$$;

comment on function public.refuse_received_content is
    'Refuse received bytes with this code and explanation: retry (hash_mismatch), quarantine (where to put them first, with which headers) or rejected (a dead letter).';
