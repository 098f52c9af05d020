-- Files by the minute, and those of the last two minutes by the second.

create or replace function public.fold_media_throughput(p_deltas public.media_analytics_deltas[])
returns void
language sql
volatile
set search_path = ''
as $$
    with recent as (
        insert into public.media_recent_throughput as t (second, files, bytes, failed_files)
        select date_trunc('second', f.at), sum(f.total_files), sum(f.total_size_bytes), sum(f.failed_files)
        from unnest(p_deltas) f
        where f.at > now() - interval '2 minutes'
        group by date_trunc('second', f.at)
        on conflict (second) do update
        set files = t.files + excluded.files,
            bytes = t.bytes + excluded.bytes,
            failed_files = t.failed_files + excluded.failed_files
    )
    insert into public.media_throughput as t (minute, files, bytes, failed_files)
    select date_trunc('minute', f.at), sum(f.total_files), sum(f.total_size_bytes), sum(f.failed_files)
    from unnest(p_deltas) f
    group by date_trunc('minute', f.at)
    on conflict (minute) do update
    set files = t.files + excluded.files,
        bytes = t.bytes + excluded.bytes,
        failed_files = t.failed_files + excluded.failed_files;
$$;

comment on function public.fold_media_throughput is
    'Add deltas to media_throughput and media_recent_throughput. Called by fold_media_analytics, under its lock.';
