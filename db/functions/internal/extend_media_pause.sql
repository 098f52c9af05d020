-- Pause a source for the whole fleet. A pause is only ever extended by a failure, never shortened.

create or replace function public.extend_media_pause(
    p_scope text,
    p_reason text,
    p_detail text,
    p_for interval
)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
    insert into public.media_pauses as p (scope, reason, detail, until)
    values (p_scope, p_reason, p_detail, now() + p_for)
    on conflict (scope) do update
    set
        reason = excluded.reason,
        detail = excluded.detail,
        paused_at = case when p.until > now() then p.paused_at else now() end,
        until = greatest(p.until, excluded.until)
    returning until;
$$;

comment on function public.extend_media_pause is
    'Pause a source (storage, or whatsapp:<phone number id>) at least for the given time; returns the end of the pause.';
