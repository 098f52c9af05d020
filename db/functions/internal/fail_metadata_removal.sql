-- The metadata of a public image is still there, so the image is not stored.
--
-- What the file itself stands against ends as a refusal: it would be the same next time. A child that
-- crashed, or a disk without room, may do better; the rules say when.

create or replace function public.fail_metadata_removal(
    p_job public.media_processing_queue,
    p_media public.media,
    p_object public.media_objects,
    p_problem text,
    p_problem_code text
)
returns table (
    verdict text,
    reason text,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text
)
language plpgsql
volatile
set search_path = ''
as $$
#variable_conflict use_column
begin
    if p_problem_code in ('kept', 'unfit') then
        reason := 'metadata_not_removed';
        select r.* into verdict, bucket_name, storage_path, content_type, cache_control
        from public.refuse_media_content(
            p_media, p_object.content_hash, p_object.file_size, reason, p_problem, p_object.checks) r;
    else
        select f.verdict, f.failure_code into verdict, reason
        from public.fail_media_job(p_job.id, p_job.claimed_by, p_job.fencing_token, 'poller',
            case when p_problem_code = 'spool_full' then p_problem_code else 'metadata_kept' end, null, null, p_problem) f;
    end if;
    return next;
end;
$$;

comment on function public.fail_metadata_removal is
    'Verdict on an image that must lose its metadata and has not, for this reason: p_problem_code kept or unfit (rejected, or quarantine: first put the received bytes there), spool_full or another (retry, paused or failed, as media_failure_rules says).';
