-- Files, received bytes and failures of the last minute, hour and day, by whole minutes.

create or replace function public.get_media_throughput()
returns json
language sql
stable
set search_path = ''
as $$
    with minutes as (
        select t.minute, t.files, t.bytes, t.failed_files
        from public.media_throughput t
        where t.minute > now() - interval '1 day'
        union all
        select d.minute, d.total_files, d.total_size_bytes, d.failed_files
        from public.media_analytics_deltas d
        where d.minute > now() - interval '1 day'
    )
    select json_object_agg(t.name, t.figures order by t.span)
    from (
        select x.name, x.span, json_build_object(
            'files', coalesce(sum(m.files), 0),
            'bytes', coalesce(sum(m.bytes), 0),
            'failed_files', coalesce(sum(m.failed_files), 0)) as figures
        from (values
            ('last_minute', interval '1 minute'), ('last_hour', interval '1 hour'), ('last_day', interval '1 day')
        ) x (name, span)
        left join minutes m on m.minute > now() - x.span - interval '1 minute'
        group by x.name, x.span
    ) t;
$$;

comment on function public.get_media_throughput is
    'Files, bytes and failed files of last_minute, last_hour and last_day; each also holds what is over of the minute it begins in.';
