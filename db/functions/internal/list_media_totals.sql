-- What was counted since the start, by media type, folded or not: a row for each type, however many
-- media rows there are. Of what is not folded yet, as much as get_media_storage_stats reads.

create or replace function public.list_media_totals()
returns table (
    media_type text,
    files bigint,
    bytes bigint,
    unique_files bigint,
    deduplicated_files bigint,
    saved_bytes bigint,
    failed_files bigint,
    retried_files bigint,
    deleted_files bigint,
    deleted_bytes bigint,
    lost_files bigint,
    stored_files bigint,
    stored_bytes bigint
)
language sql
stable
set search_path = ''
as $$
    with counted as (
        select a.media_type, a.total_files, a.total_size_bytes, a.unique_files, a.deduplicated_files,
            a.saved_bytes, a.failed_files, a.retried_files, a.deleted_files, a.deleted_bytes, a.lost_files,
            a.stored_files, a.stored_bytes
        from public.media_analytics a
        union all
        (select d.media_type, d.total_files, d.total_size_bytes, d.unique_files, d.deduplicated_files,
            d.saved_bytes, d.failed_files, d.retried_files, d.deleted_files, d.deleted_bytes, d.lost_files,
            d.stored_files, d.stored_bytes
        from public.media_analytics_deltas d
        limit 100000)
    )
    select c.media_type, sum(c.total_files)::bigint, sum(c.total_size_bytes)::bigint,
        sum(c.unique_files)::bigint, sum(c.deduplicated_files)::bigint, sum(c.saved_bytes)::bigint,
        sum(c.failed_files)::bigint, sum(c.retried_files)::bigint, sum(c.deleted_files)::bigint,
        sum(c.deleted_bytes)::bigint, sum(c.lost_files)::bigint, sum(c.stored_files)::bigint,
        sum(c.stored_bytes)::bigint
    from counted c
    group by c.media_type;
$$;

comment on function public.list_media_totals is
    'What media_analytics and its deltas have counted since the start, by media type.';
