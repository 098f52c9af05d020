-- Append one event to the audit trail.

create or replace function public.log_media_event(
    p_media_id uuid,
    p_event text,
    p_detail jsonb default null,
    p_poller text default null,
    p_attempt integer default null
)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.media_audit_log (media_id, event, detail, poller, attempt)
    values (p_media_id, p_event, jsonb_strip_nulls(p_detail), p_poller, p_attempt);
$$;

comment on function public.log_media_event is 'Append one event to the audit trail of an attachment.';
