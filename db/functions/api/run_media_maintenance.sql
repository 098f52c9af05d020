-- Keep house: what has to happen now and then, in one call that anybody may repeat.
--
-- One at a time: who comes while another is at it is told so and changes nothing. Every step is
-- bounded; what is left over is for the next minute. A step that fails takes no other with it, nor does one
-- that the commit would refuse.

create or replace function public.run_media_maintenance(unless_within interval default '0 seconds')
returns json
language plpgsql
volatile
security definer -- neither operators nor pollers have rights on the tables
set search_path = ''
set lock_timeout = '1s' -- whoever holds a row for long does not hold up the house
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_settings public.media_settings;
    v_ran_at timestamptz;
    v_may_defer boolean;
    v_step text;
    v_done jsonb := jsonb '{}';
    v_errors jsonb := jsonb '{}';
begin
    select r.ran_at into v_ran_at from public.media_maintenance r for update skip locked;
    if not found then
        return json_build_object('skipped', 'another one is at it');
    elsif v_ran_at > v_started - unless_within then
        return json_build_object('skipped', 'it ran at ' || v_ran_at);
    end if;
    update public.media_maintenance set ran_at = v_started;
    select s.* into v_settings from public.media_settings s;
    v_may_defer := public.deferred_constraints_matter();

    foreach v_step in array array[
        'rescued_jobs', 'dropped_reservations', 'folded_deltas', 'forgotten_pollers', 'pruned_dead_letters',
        'pruned_unheard_requests', 'pruned_webhook_events', 'pruned_webhook_refusals', 'pruned_tombstones',
        'pruned_quarantine', 'pruned_audit_events', 'pruned_minutes', 'pruned_cron_runs', 'forgotten_cleanups', 'cleaned_media'
    ] loop
        begin
            v_done := v_done || jsonb_build_object(v_step, case v_step
                when 'rescued_jobs' then public.rescue_media_jobs()
                when 'dropped_reservations' then public.drop_orphan_reservations()
                when 'folded_deltas' then public.fold_media_analytics()
                when 'forgotten_pollers' then public.forget_media_pollers()
                when 'pruned_dead_letters' then public.prune_dead_letters(v_settings.dead_letters_kept)
                when 'pruned_unheard_requests' then public.prune_unheard_requests()
                when 'pruned_webhook_events' then public.prune_whatsapp_webhooks()
                when 'pruned_webhook_refusals' then public.prune_webhook_refusals(v_settings.audit_kept)
                when 'pruned_tombstones' then public.prune_media_tombstones(v_settings.webhook_events_kept)
                when 'pruned_quarantine' then public.prune_media_quarantine()
                when 'pruned_audit_events' then public.prune_media_audit(v_settings.audit_kept)
                when 'pruned_minutes' then public.prune_media_throughput()
                when 'pruned_cron_runs' then public.prune_cron_runs()
                when 'forgotten_cleanups' then public.forget_media_cleanups()
                when 'cleaned_media' then public.clean_up_daily(v_settings)
            end);
            if v_may_defer then
                perform public.check_deferred_constraints();
            end if;
        exception
            when others or assert_failure then
                v_done := v_done - v_step;
                v_errors := v_errors || jsonb_build_object(v_step, sqlstate || ': ' || sqlerrm);
        end;
    end loop;
    if v_errors <> '{}' then
        v_done := v_done || jsonb_build_object('errors', v_errors);
    end if;
    return (v_done || jsonb_build_object(
        'milliseconds', round(extract(epoch from clock_timestamp() - v_started) * 1000)))::json;
end;
$$;

comment on function public.run_media_maintenance is
    'Rescue expired leases, drop orphan reservations, fold analytics, prune pollers, dead letters, unheard requests, webhook events and refusals, tombstones, quarantine, audit trail, cron runs and cleanups that nobody went on with past their time, and clean up old media when media_settings.cleanup_days says so. Bounded; returns a count of each and milliseconds, "errors" by step if any failed, or "skipped" with the reason: another one is at it, or it ran within unless_within.';
grant execute on function public.run_media_maintenance to media_poller, media_admin;
