-- squawk-ignore-file ban-drop-table, ban-drop-constraint
set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop table public.media_failure_rules, public.media_formats, public.media_buckets, public.media_settings;
