-- Files, received bytes and failures of the last minute (this second and the 59 before), hour and day
-- (by minutes in the same way). Hours are counted, as a day of the session's time zone may have 23 or 25.

create or replace function public.get_media_throughput()
returns json
language sql
stable
set search_path = ''
as $$
    with spans (name, step, since) as (
        values
            ('last_minute', 'second', date_trunc('second', now()) - interval '59 seconds'),
            ('last_hour', 'minute', date_trunc('minute', now()) - interval '59 minutes'),
            ('last_day', 'minute', date_trunc('minute', now()) - interval '1439 minutes')
    ),
    unfolded as (
        select date_trunc('second', d.at) as at, sum(d.total_files) as files, sum(d.total_size_bytes) as bytes,
            sum(d.failed_files) as failed_files
        from (select * from public.media_analytics_deltas limit 100000) d
        group by date_trunc('second', d.at)
    ),
    counted as (
        select 'second' as step, t.second as at, t.files, t.bytes, t.failed_files
        from public.media_recent_throughput t
        union all
        select 'minute', t.minute, t.files, t.bytes, t.failed_files
        from public.media_throughput t
        where t.minute > now() - interval '24 hours'
        union all
        select s.step, u.at, u.files, u.bytes, u.failed_files
        from unfolded u
        cross join (values ('second'), ('minute')) s (step)
    )
    select json_object_agg(t.name, t.figures order by t.since desc)
    from (
        select s.name, s.since, json_build_object(
            'files', coalesce(sum(c.files), 0),
            'bytes', coalesce(sum(c.bytes), 0),
            'failed_files', coalesce(sum(c.failed_files), 0)) as figures
        from spans s
        left join counted c on c.step = s.step and c.at >= s.since
        group by s.name, s.since
    ) t;
$$;

comment on function public.get_media_throughput is
    'Files, bytes and failed files of last_minute (60 seconds), last_hour (60 minutes) and last_day (1440 minutes), each with the second or minute that it is now.';
