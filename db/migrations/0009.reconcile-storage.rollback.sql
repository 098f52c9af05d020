-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-function, require-concurrent-index-deletion
-- The functions of the tables' types go with them; those that speak of a dropped column go with 0004.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop function if exists
    public.find_media_differences(uuid, text, text[]),
    public.requeue_media_object(public.media_storage_differences);
drop index public.pgmedia_media_foreign_path_idx;
alter table public.media_analytics drop column lost_files, drop column lost_bytes;
alter table public.media_analytics_deltas drop column lost_files, drop column lost_bytes;
alter table public.media_settings drop column reconcile_min_age, drop column wrong_files_kept;
drop table public.media_storage_differences, public.media_storage_listing, public.media_reconcile_runs;
