-- Pause a source for the whole fleet.
--
-- A pause that is running is only ever made longer by what the provider asks for: its other jobs
-- fail with it and prove nothing new. One that had ended is confirmed by its probe, and doubles. The
-- reason is that of whoever set the end.

create or replace function public.extend_media_pause(
    p_scope text,
    p_reason text,
    p_detail text,
    p_for interval,
    p_retry_after interval default null
)
returns public.media_pauses
language sql
volatile
set search_path = ''
as $$
    insert into public.media_pauses as p (scope, reason, detail, until)
    values (p_scope, p_reason, p_detail, now() + greatest(p_for, p_retry_after))
    on conflict (scope) do update
    set
        reason = case when p.until > now() and p.until >= now() + coalesce(p_retry_after, '0 seconds')
            then p.reason else excluded.reason end,
        detail = case when p.until > now() and p.until >= now() + coalesce(p_retry_after, '0 seconds')
            then p.detail else excluded.detail end,
        strikes = case when p.until > now() then p.strikes else least(p.strikes + 1, 1000) end,
        paused_at = case when p.until > now() then p.paused_at else now() end,
        until = greatest(p.until, now() + p_retry_after, case when p.until <= now() then now() + greatest(
            p_for, least(
                (select s.pause_most from public.media_settings s),
                p_for * power(2, least(p.strikes, 20)))) end)
    returning p.*;
$$;

comment on function public.extend_media_pause is
    'Pause a source (storage, whatsapp:<phone number id> or poller:<name>) for p_for, doubled for every pause in a row up to media_settings.pause_most, and at least for p_retry_after; returns the pause.';
