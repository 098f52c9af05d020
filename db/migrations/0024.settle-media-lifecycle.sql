-- squawk-ignore-file constraint-missing-not-valid, adding-field-with-default
-- Times in the settings are what they compare as, and how far the runs that pg_cron has noted are pruned.
-- depends: 0020.bound-media-lifecycle

set local lock_timeout = '5s';
set local statement_timeout = '10min';

-- An interval of minus a month and 31 days compares as a day, and may be none when it is added to a time.
do $$
declare
    v_name text;
begin
    foreach v_name in array array[
        'audit_kept', 'backoff_first', 'backoff_most', 'dead_letters_kept', 'lease', 'pause_most', 'reconcile_min_age',
        'url_expires', 'url_expires_most', 'waiting_recheck', 'webhook_events_kept', 'whatsapp_keeps', 'wrong_files_kept'
    ] loop
        execute format($sql$
            update public.media_settings s
            set %1$I = justify_interval(s.%1$I)
            where least(extract(year from s.%1$I), extract(month from s.%1$I), extract(day from s.%1$I),
                extract(hour from s.%1$I), extract(minute from s.%1$I), extract(second from s.%1$I)) < 0
        $sql$, v_name);
        execute format($sql$
            alter table public.media_settings
                add constraint media_settings_%1$s_forward check (
                    least(extract(year from %1$I), extract(month from %1$I), extract(day from %1$I),
                        extract(hour from %1$I), extract(minute from %1$I), extract(second from %1$I)) >= 0)
        $sql$, v_name);
    end loop;
end $$;

alter table public.media_maintenance add column cron_pruned_to bigint not null default 0;
comment on column public.media_maintenance.cron_pruned_to is
    'Runs that pg_cron has noted up to this id were looked at when they were old: ours among them are pruned.';

comment on column public.media_cleanups.media_type is
    'The media type it is at, as quote_nullable writes it; empty before the first one.';
delete from public.media_cleanups; -- theirs are written otherwise
