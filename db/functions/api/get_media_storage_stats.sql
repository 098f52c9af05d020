-- The figures of the whole store in one call. Totals come from the analytics, so they cost the same
-- however many media rows there are.

create or replace function public.get_media_storage_stats()
returns json
language sql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
    with counted as (
        select * from public.media_analytics
        union all
        select * from public.media_analytics_deltas
    ),
    by_type as (
        select c.media_type,
            sum(c.total_files)::bigint as files,
            sum(c.total_size_bytes)::bigint as bytes,
            sum(c.unique_files)::bigint as unique_files,
            sum(c.deduplicated_files)::bigint as deduplicated_files,
            sum(c.saved_bytes)::bigint as saved_bytes,
            sum(c.failed_files)::bigint as failed_files,
            sum(c.deleted_files)::bigint as deleted_files,
            sum(c.lost_files)::bigint as lost_files
        from counted c
        group by c.media_type
    )
    select json_build_object(
        'files', coalesce(sum(t.files), 0),
        'bytes', coalesce(sum(t.bytes), 0),
        'unique_files', coalesce(sum(t.unique_files), 0),
        'deduplicated_files', coalesce(sum(t.deduplicated_files), 0),
        'saved_bytes', coalesce(sum(t.saved_bytes), 0),
        'failed_files', coalesce(sum(t.failed_files), 0),
        'deleted_files', coalesce(sum(t.deleted_files), 0),
        'lost_files', coalesce(sum(t.lost_files), 0),
        'by_type', coalesce(json_object_agg(t.media_type, to_json(t) order by t.media_type)
            filter (where t.media_type is not null), '{}'),
        'queue', (
            select coalesce(json_object_agg(q.status, q.n), '{}')
            from (select status, count(*) as n from public.media_processing_queue group by status) q),
        'oldest_due_seconds', (
            select coalesce(extract(epoch from now() - min(q.due_at))::bigint, 0)
            from public.media_processing_queue q
            where q.status = 'pending' and q.due_at <= now()),
        'deletions', (select count(*) from public.media_deletion_queue),
        'pauses', (
            select coalesce(json_agg(json_build_object('scope', p.scope, 'reason', p.reason, 'until', p.until)), '[]')
            from public.media_pauses p
            where p.until > now()),
        'pollers', (
            select count(*)
            from public.media_pollers p
            cross join public.media_settings s
            where p.seen_at > now() - s.lease)
    )
    from by_type t;
$$;

comment on function public.get_media_storage_stats is
    'Files, bytes, unique and deduplicated files, bytes saved, failed, deleted and lost files since the start, in all and by media type; queue depth by status, age of the oldest due job in seconds, files to remove, pauses, pollers alive.';
grant execute on function public.get_media_storage_stats to media_client, media_admin;
