-- A poller reports what happened; the rules say what it means.
--
-- Retry with jittered backoff, a dead letter, or a pause of the source for the whole fleet, which
-- spends no attempt.

create or replace function public.fail_media_job(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_source text,
    p_provider_code text,
    p_http_status integer,
    p_retry_after double precision,
    p_text text
)
returns table (verdict text, failure_code text, due_at timestamptz)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_job public.media_processing_queue := public.lock_media_job(p_id, p_poller, p_token);
    v_rule public.media_failure_rules := public.find_failure_rule(p_source, p_provider_code, p_http_status);
    v_text text := left(format('%s (%s)', p_text, concat_ws(', ',
        'code ' || p_provider_code, 'http ' || p_http_status)), 2000);
    v_pause public.media_pauses;
    -- a poller that cannot connect says nothing of the others, who may
    v_own_fault boolean := p_source = 'poller' or p_provider_code is not distinct from 'unreachable';
begin
    if v_rule.id is null then
        raise exception 'unknown source of a failure: %', coalesce(quote_literal(p_source), 'null')
            using errcode = 'MD017', hint = 'Use whatsapp, storage or poller.';
    end if;
    failure_code := v_rule.failure_code;
    case
        when failure_code = 'storage_type_refused' and public.forgo_media_encoding(p_id, v_text) then
            verdict := public.retry_media_job(v_job, failure_code, v_text
                || '; it is stored as it came next time. To have it compressed, run: pgmedia buckets');
        when v_rule.action = 'final' or v_rule.action = 'pause' and v_job.pauses >= v_job.max_attempts then
            verdict := 'failed';
            perform public.bury_media_job(p_id, failure_code, v_text);
        when v_rule.action = 'pause' then
            verdict := 'paused';
            v_pause := public.extend_media_pause(
                case
                    when v_own_fault then 'poller:' || p_poller
                    when p_source = 'storage' then 'storage'
                    else v_job.source
                end,
                failure_code, v_text, v_rule.pause_for, public.read_retry_after(p_retry_after));
            due_at := v_pause.until;
            perform public.give_back_media_jobs(p_poller, array[p_id], array[p_token]);
            update public.media_processing_queue q
            set
                -- behind the others, so that another one probes; a poller at fault leaves it to others
                due_at = case when v_own_fault then now() else v_pause.until end,
                pauses = q.pauses + (not v_own_fault and v_pause.strikes = 1)::integer,
                last_error_code = v_rule.failure_code,
                last_error_text = v_text
            where q.id = p_id;
        else
            verdict := public.retry_media_job(v_job, failure_code, v_text, public.read_retry_after(p_retry_after));
            due_at := (select q.due_at from public.media_processing_queue q where q.id = p_id and verdict = 'retry');
    end case;
    if public.is_media_refusal(p_http_status, v_rule) then
        perform public.count_media_refusal(v_job.source, v_rule.action = 'pause');
    elsif p_source = 'poller' and p_provider_code is null then -- it does not know what happened
        perform public.record_unheard_request(v_job);
    end if;
    return next;
end;
$$;

comment on function public.fail_media_job is
    'Report a failed attempt: p_source whatsapp, storage or poller; p_provider_code the provider''s own error code; p_retry_after seconds. Verdict: retry (at due_at), failed (dead letter) or paused (the source, until due_at). A job that keeps pausing a source that works for others is failed. Errors: MD001 lease lost, MD017 unknown source.';
grant execute on function public.fail_media_job to media_poller;
