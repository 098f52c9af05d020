-- Files that could not be removed stay queued: retried with backoff for as long as it takes.

create or replace function public.fail_media_deletions(
    p_poller text,
    p_ids uuid[],
    p_tokens integer[],
    p_provider_code text,
    p_http_status integer,
    p_retry_after double precision,
    p_text text
)
returns text
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_rule public.media_failure_rules := public.find_failure_rule('storage', p_provider_code, p_http_status);
begin
    if v_rule.action = 'pause' then
        perform public.extend_media_pause(
            case p_provider_code when 'unreachable' then 'poller:' || p_poller else 'storage' end,
            v_rule.failure_code, left(p_text, 2000), v_rule.pause_for, public.read_retry_after(p_retry_after));
    end if;
    update public.media_deletion_queue d
    set
        status = 'pending',
        due_at = now() + greatest(public.read_retry_after(p_retry_after),
            least(s.backoff_most, s.backoff_first * power(2, least(d.attempts, 20) - 1)) * (0.5 + random() / 2)),
        last_error_code = v_rule.failure_code,
        last_error_text = left(p_text, 2000),
        claimed_by = null,
        lease_until = null
    from public.media_settings s, unnest(p_ids, p_tokens) h (id, token)
    where d.id = h.id
        and d.fencing_token = h.token
        and d.claimed_by = p_poller
        and d.status = 'processing';
    return v_rule.failure_code;
end;
$$;

comment on function public.fail_media_deletions is
    'Report files that could not be removed: they stay queued with backoff, or the storage is paused. Returns the failure code.';
grant execute on function public.fail_media_deletions to media_poller;
