-- Refused bytes are in quarantine, or could not be put there: the attachment ends, either way.
--
-- Where storage has refused the bytes there is no file, and nothing to remove later. An answer that
-- nobody heard (p_is_stored null) may have been yes.

create or replace function public.settle_media_quarantine(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_storage_path text,
    p_is_stored boolean
)
returns text
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_job public.media_processing_queue := public.lock_media_job(p_id, p_poller, p_token);
    v_kept public.media_quarantine;
    v_media public.media;
begin
    update public.media_quarantine q
    set stored_at = case when p_is_stored then clock_timestamp() else q.stored_at end
    where q.storage_path = p_storage_path
    returning q.* into v_kept;
    if not found then -- the attachment that shared it was deleted, and it with that
        perform public.discard_media_upload('media-quarantine', p_storage_path, p_is_stored);
        return public.retry_media_job(v_job, 'quarantine_lost', format('the refused bytes at %s are gone', p_storage_path));
    end if;
    if p_is_stored is false and v_kept.stored_at is null then
        delete from public.media_quarantine q where q.id = v_kept.id;
    else
        perform public.log_media_event(p_id, 'quarantined',
            jsonb_build_object('bucket_name', 'media-quarantine', 'keep_until', v_kept.keep_until), p_poller, v_job.attempts);
    end if;
    select m.* into v_media from public.media m where m.id = p_id;
    perform public.reject_media_content(
        v_media, v_kept.content_hash, v_kept.file_size, v_kept.failure_code, v_kept.failure_text, v_kept.checks);
    return 'rejected';
end;
$$;

comment on function public.settle_media_quarantine is
    'End an attachment whose bytes were refused and kept, as begin_media_upload said quarantine. p_is_stored: whether storage took the bytes; null when it did not answer. Returns rejected, or retry (failed, when the attempts are spent) when the place has gone. Error: MD001 lease lost.';
grant execute on function public.settle_media_quarantine to media_poller;
