-- squawk-ignore-file ban-drop-column, ban-drop-function, ban-drop-constraint

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings
    drop constraint media_settings_backoff_most_bound,
    drop constraint media_settings_pause_most_bound,
    drop constraint media_settings_waiting_recheck_bound,
    drop constraint media_settings_webhook_events_kept_bound,
    drop constraint media_settings_reconcile_min_age_bound,
    drop constraint media_settings_wrong_files_kept_bound,
    drop constraint media_settings_whatsapp_keeps_bound,
    drop constraint media_settings_project_url_bare,
    drop constraint media_settings_object_cache_control_ascii;
-- The function of the table's type goes with its columns.
drop function if exists public.continue_media_cleanup(public.media_cleanups, integer, integer, boolean, integer, timestamptz);
alter table public.media_cleanups drop column deleted, drop column locked, drop column refused, drop column problem;
