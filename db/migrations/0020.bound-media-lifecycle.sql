-- squawk-ignore-file constraint-missing-not-valid, adding-field-with-default
-- What a cleanup could not delete, and upper bounds of the settings.
-- depends: 0018.finish-media-lifecycle 0019.check-media-content

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_cleanups
    add column deleted bigint not null default 0,
    add column locked bigint not null default 0,
    add column refused bigint not null default 0,
    add column problem text;
comment on column public.media_cleanups.deleted is 'Attachments that this pass has deleted since its beginning.';
comment on column public.media_cleanups.locked is 'Attachments that it passed over, as another transaction held a lock.';
comment on column public.media_cleanups.refused is
    'Attachments that it passed over, as a foreign key or trigger of the bot''s refused their deletion.';
comment on column public.media_cleanups.problem is 'The error of the last refusal.';
delete from public.media_cleanups; -- nobody knows what these have passed over

-- What is out of bounds comes to the bound. Credentials in a URL that everybody gets to see go.
update public.media_settings s
set backoff_first = least(s.backoff_first, '100 years'),
    backoff_most = least(s.backoff_most, '100 years'),
    pause_most = least(s.pause_most, '100 years'),
    waiting_recheck = least(s.waiting_recheck, '1 day'),
    webhook_events_kept = least(s.webhook_events_kept, '100 years'),
    reconcile_min_age = least(s.reconcile_min_age, '100 years'),
    wrong_files_kept = least(s.wrong_files_kept, '100 years'),
    whatsapp_keeps = least(s.whatsapp_keeps, '100 years'),
    project_url = regexp_replace(s.project_url, '//.*@', '//'),
    object_cache_control = case when s.object_cache_control ~ '^[\x20-\x7e]+$' then s.object_cache_control
        else 'max-age=31536000, immutable' end;
alter table public.media_settings
    add constraint media_settings_backoff_most_bound check (backoff_most <= '100 years'),
    add constraint media_settings_pause_most_bound check (pause_most <= '100 years'),
    add constraint media_settings_waiting_recheck_bound check (waiting_recheck <= '1 day'),
    add constraint media_settings_webhook_events_kept_bound check (webhook_events_kept <= '100 years'),
    add constraint media_settings_reconcile_min_age_bound check (reconcile_min_age <= '100 years'),
    add constraint media_settings_wrong_files_kept_bound check (wrong_files_kept <= '100 years'),
    add constraint media_settings_whatsapp_keeps_bound check (whatsapp_keeps <= '100 years'),
    add constraint media_settings_project_url_bare check (project_url !~ '@'),
    add constraint media_settings_object_cache_control_ascii check (object_cache_control ~ '^[\x20-\x7e]+$');
