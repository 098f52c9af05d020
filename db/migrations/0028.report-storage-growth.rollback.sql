-- squawk-ignore-file ban-drop-view

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop view public.media_daily_report; -- a column cannot be taken from a view

create view public.media_daily_report with (security_invoker = false) as
with counted as (
    select a.date, a.media_type, a.total_files, a.total_size_bytes, a.unique_files, a.deduplicated_files,
        a.saved_bytes, a.failed_files, a.retried_files, a.deleted_files, a.deleted_bytes, a.processing_ms
    from public.media_analytics a
    union all
    select d.date, d.media_type, d.total_files, d.total_size_bytes, d.unique_files, d.deduplicated_files,
        d.saved_bytes, d.failed_files, d.retried_files, d.deleted_files, d.deleted_bytes, d.processing_ms
    from public.media_analytics_deltas d
),
times as (
    select t.date, t.media_type, t.time_bucket, t.files from public.media_processing_times t
    union all
    select d.date, d.media_type, d.time_bucket, d.total_files
    from public.media_analytics_deltas d
    where d.time_bucket is not null
),
ranked as (
    select t.date, t.media_type, t.time_bucket, sum(t.files) as files,
        sum(sum(t.files)) over (partition by t.date, t.media_type order by t.time_bucket)
            / sum(sum(t.files)) over (partition by t.date, t.media_type) as share
    from times t
    group by t.date, t.media_type, t.time_bucket
),
percentiles as (
    select r.date, r.media_type, sum(r.files) as files,
        power(2, (min(r.time_bucket) filter (where r.share >= 0.50) - 0.5) / 4) as p50,
        power(2, (min(r.time_bucket) filter (where r.share >= 0.95) - 0.5) / 4) as p95
    from ranked r
    group by r.date, r.media_type
)
select
    c.date,
    c.media_type,
    sum(c.total_files)::bigint as files,
    sum(c.total_size_bytes)::bigint as bytes,
    sum(c.unique_files)::bigint as unique_files,
    sum(c.deduplicated_files)::bigint as deduplicated_files,
    sum(c.saved_bytes)::bigint as saved_bytes,
    round(sum(c.saved_bytes) / nullif(sum(c.total_size_bytes), 0), 4) as saved_share,
    sum(c.failed_files)::bigint as failed_files,
    sum(c.retried_files)::bigint as retried_files,
    sum(c.deleted_files)::bigint as deleted_files,
    sum(c.deleted_bytes)::bigint as deleted_bytes,
    round(sum(c.processing_ms) / nullif(min(p.files), 0))::bigint as mean_ms,
    round(min(p.p50))::bigint as p50_ms,
    round(min(p.p95))::bigint as p95_ms
from counted c
left join percentiles p on p.date = c.date and p.media_type = c.media_type
group by c.date, c.media_type;
comment on view public.media_daily_report is
    'What happened on each day (UTC), by media type. saved_share: part of the received bytes that was not stored again, 0 to 1. mean_ms and percentiles, these within 10 %, are of the time from queued to processed; files whose content was known when they were queued have none.';
grant select on public.media_daily_report to media_admin, media_reader;
