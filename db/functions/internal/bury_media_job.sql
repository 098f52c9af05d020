-- Final failure: the row stays in the queue as a dead letter, and the media row says why.

create or replace function public.bury_media_job(p_id uuid, p_code text, p_text text, p_found jsonb default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_poller text;
    v_attempts smallint;
    v_media_type text;
begin
    select q.claimed_by, q.attempts into v_poller, v_attempts
    from public.media_processing_queue q
    where q.id = p_id;
    update public.media_processing_queue q
    set
        status = 'failed',
        died_at = clock_timestamp(),
        last_error_code = p_code,
        last_error_text = p_text,
        claimed_by = null,
        lease_until = null,
        waiting_for = null -- who waits dies with its leader when the content is refused
    where q.id = p_id;
    update public.media m
    set
        failure_code = p_code,
        failure_text = p_text,
        failed_at = clock_timestamp(),
        file_size = coalesce((p_found ->> 'file_size')::bigint, m.file_size),
        content_hash = coalesce(p_found ->> 'content_hash', m.content_hash)
    where m.id = p_id
    returning m.media_type into v_media_type;
    perform public.drop_media_reservations(p_id);
    perform public.free_waiting_media(p_id);
    perform public.log_media_event(p_id, 'failed',
        jsonb_build_object('code', p_code, 'text', p_text) || coalesce(p_found, '{}'), v_poller, v_attempts);
    insert into public.media_analytics_deltas (date, media_type, failed_files)
    values ((now() at time zone 'utc')::date, coalesce(v_media_type, 'unknown'), 1);
end;
$$;

comment on function public.bury_media_job is
    'End a job as a dead letter: free who waited for it, and record the reason on queue, media, audit trail and analytics; p_found: file_size, content_hash and checks of bytes that were received.';
