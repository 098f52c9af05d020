-- Files that could not be removed stay queued: retried with backoff for as long as it takes, or when
-- the pause of the storage is over. What Storage refuses for good is an event of the audit trail, once.

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
    v_pause public.media_pauses;
begin
    if v_rule.action = 'pause' then
        v_pause := public.extend_media_pause(
            case p_provider_code when 'unreachable' then 'poller:' || p_poller else 'storage' end,
            v_rule.failure_code, left(p_text, 2000), v_rule.pause_for, public.read_retry_after(p_retry_after));
    end if;
    with failed as (
        select d.*
        from public.media_deletion_queue d
        join unnest(p_ids, p_tokens) h (id, token) on h.id = d.id and h.token = d.fencing_token
        where d.claimed_by = p_poller -- so it is still processing
        for update of d
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt, detail)
        select coalesce(f.object_id, '00000000-0000-0000-0000-000000000000'), 'removal refused', p_poller, f.attempts,
            jsonb_build_object('bucket_name', f.bucket_name, 'storage_path', f.storage_path, 'reason', f.reason,
                'code', v_rule.failure_code, 'text', left(p_text, 2000))
        from failed f
        where v_rule.action = 'final' and f.last_error_code is distinct from v_rule.failure_code
    )
    update public.media_deletion_queue d
    set
        status = 'pending',
        due_at = case
            when v_pause.scope = 'storage' then v_pause.until
            when v_pause.scope is not null then now() -- another poller may reach it
            else now() + greatest(public.read_retry_after(p_retry_after), least(
                s.backoff_most, s.backoff_first * power(2, least(f.attempts, 20) - 1)) * (0.5 + random() / 2))
        end,
        last_error_code = v_rule.failure_code,
        last_error_text = left(p_text, 2000),
        claimed_by = null,
        lease_until = null
    from public.media_settings s, failed f
    where d.id = f.id;
    return v_rule.failure_code;
end;
$$;

comment on function public.fail_media_deletions is
    'Report files that could not be removed: they stay queued with backoff, or the storage is paused. What Storage refuses for good is in the audit trail, as finish_media_deletions has it. Returns the failure code.';
grant execute on function public.fail_media_deletions to media_poller;
