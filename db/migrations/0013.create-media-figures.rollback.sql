-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-view
-- The figures go; what media_analytics counted stays.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop view public.media_daily_report, public.media_queue_health, public.media_failures;
drop table
    public.media_processing_times, public.media_throughput,
    public.media_bucket_totals, public.media_bucket_deltas;
alter table public.media_analytics drop column retried_files;
alter table public.media_analytics_deltas
    drop column retried_files,
    drop column minute,
    drop column time_bucket;
