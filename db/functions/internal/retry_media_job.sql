-- Try again later, or not at all when the attempts are spent: all of them, or those that this failure
-- has ended since the attachment was queued or retried. Doubling, capped, jittered by half.

create or replace function public.retry_media_job(
    p_job public.media_processing_queue,
    p_code text,
    p_text text,
    p_retry_after interval default null
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_most smallint := (select min(r.attempts_most) from public.media_failure_rules r where r.failure_code = p_code);
    v_ended integer := 1;
begin
    if v_most > 1 then
        v_ended := 1 + (
            select count(*)::integer
            from public.media_audit_log a
            where a.media_id = p_job.id and a.event = 'attempt failed' and a.detail ->> 'code' = p_code
                and not exists (
                    select
                    from public.media_audit_log l
                    where l.media_id = p_job.id and l.event = 'retried' and l.id > a.id));
    end if;
    if p_job.attempts >= p_job.max_attempts or v_ended >= v_most then
        perform public.bury_media_job(p_job.id, p_code, p_text);
        return 'failed';
    end if;
    update public.media_processing_queue q
    set
        status = 'pending',
        due_at = now() + greatest(p_retry_after,
            least(s.backoff_most, s.backoff_first * power(2, least(q.attempts, 20) - 1)) * (0.5 + random() / 2)),
        last_error_code = p_code,
        last_error_text = p_text,
        source_url = null, -- the metadata has another
        claimed_by = null,
        lease_until = null
    from public.media_settings s
    where q.id = p_job.id;
    perform public.log_media_event(p_job.id, 'attempt failed',
        jsonb_build_object('code', p_code, 'text', p_text), p_job.claimed_by, p_job.attempts);
    return 'retry';
end;
$$;

comment on function public.retry_media_job is
    'Put a job back with backoff (retry), or bury it when its attempts are spent, or this failure has ended as many as media_failure_rules.attempts_most (failed).';
