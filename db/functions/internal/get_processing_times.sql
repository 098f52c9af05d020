-- Percentiles of the time from queued to processed, from the histogram: the middle of the bucket that
-- holds them, so within 10 %.

create or replace function public.get_processing_times(p_since date)
returns json
language sql
stable
set search_path = ''
as $$
    with times as (
        select t.time_bucket, t.files from public.media_processing_times t where t.date >= p_since
        union all
        select d.time_bucket, d.total_files
        from (select * from public.media_analytics_deltas limit 100000) d
        where d.date >= p_since and d.time_bucket is not null
    ),
    ranked as (
        select t.time_bucket,
            sum(sum(t.files)) over (order by t.time_bucket) / sum(sum(t.files)) over () as share
        from times t
        group by t.time_bucket
    )
    select json_object_agg(p.name, round(power(2, (p.time_bucket - 0.5) / 4)) order by p.name)
    from (
        select x.name, min(r.time_bucket) filter (where r.share >= x.share) as time_bucket
        from (values ('p50', 0.50), ('p95', 0.95), ('p99', 0.99)) x (name, share)
        left join ranked r on true
        group by x.name
    ) p;
$$;

comment on function public.get_processing_times is
    'Milliseconds from queued to processed since a day (UTC): p50, p95 and p99, null when nothing was processed.';
