-- Keep house: what has to happen now and then, in one call that anybody may repeat.
--
-- One at a time: who comes while another is at it is told so and changes nothing. Every step is
-- bounded; what is left over is for the next minute.

create or replace function public.run_media_maintenance(unless_within interval default '0 seconds')
returns json
language plpgsql
volatile
security definer -- neither operators nor pollers have rights on the tables
set search_path = ''
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_settings public.media_settings;
    v_ran_at timestamptz;
    v_done jsonb;
begin
    select r.ran_at into v_ran_at from public.media_maintenance r for update skip locked;
    if not found then
        return json_build_object('skipped', 'another one is at it');
    elsif v_ran_at > v_started - unless_within then
        return json_build_object('skipped', 'it ran at ' || v_ran_at);
    end if;
    update public.media_maintenance set ran_at = v_started;
    select s.* into v_settings from public.media_settings s;

    v_done := jsonb_build_object(
        'rescued_jobs', public.rescue_media_jobs(),
        'dropped_reservations', public.drop_orphan_reservations(),
        'folded_deltas', public.fold_media_analytics(),
        'forgotten_pollers', public.forget_media_pollers(),
        'pruned_dead_letters', public.prune_dead_letters(v_settings.dead_letters_kept),
        'pruned_webhook_events', public.prune_whatsapp_webhooks(),
        'pruned_audit_events', public.prune_media_audit(v_settings.audit_kept),
        'pruned_minutes', public.prune_media_throughput(),
        'pruned_cron_runs', public.prune_cron_runs(),
        'cleaned_media', public.clean_up_daily(v_settings));
    return (v_done || jsonb_build_object(
        'milliseconds', round(extract(epoch from clock_timestamp() - v_started) * 1000)))::json;
end;
$$;

comment on function public.run_media_maintenance is
    'Rescue expired leases, drop orphan reservations, fold analytics, prune pollers, dead letters, webhook events, audit trail and cron runs past their time, and clean up old media when media_settings.cleanup_days says so. Bounded; returns a count of each and milliseconds, or "skipped" with the reason: another one is at it, or it ran within unless_within.';
grant execute on function public.run_media_maintenance to media_poller, media_admin;
