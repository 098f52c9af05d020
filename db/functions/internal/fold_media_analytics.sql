-- Fold what was appended into the figures. One at a time; whoever comes second does nothing.

create or replace function public.fold_media_analytics(p_limit integer default 250000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_deltas public.media_analytics_deltas[];
begin
    if not pg_try_advisory_xact_lock(hashtext('pgmedia.fold')) then
        return 0;
    end if;
    with folded as (
        delete from public.media_analytics_deltas d
        where d.ctid = any (array(select x.ctid from public.media_analytics_deltas x limit p_limit))
        returning d as delta
    )
    select array_agg(f.delta) into v_deltas from folded f;

    insert into public.media_analytics as a (
        date, media_type, total_files, total_size_bytes, unique_files, deduplicated_files, saved_bytes,
        failed_files, deleted_files, deleted_bytes, processing_ms, retried_files, lost_files, lost_bytes,
        stored_files, stored_bytes
    )
    select f.date, f.media_type, sum(f.total_files), sum(f.total_size_bytes), sum(f.unique_files),
        sum(f.deduplicated_files), sum(f.saved_bytes), sum(f.failed_files), sum(f.deleted_files),
        sum(f.deleted_bytes), sum(f.processing_ms), sum(f.retried_files), sum(f.lost_files),
        sum(f.lost_bytes), sum(f.stored_files), sum(f.stored_bytes)
    from unnest(v_deltas) f
    group by f.date, f.media_type
    on conflict (date, media_type) do update
    set
        total_files = a.total_files + excluded.total_files,
        total_size_bytes = a.total_size_bytes + excluded.total_size_bytes,
        unique_files = a.unique_files + excluded.unique_files,
        deduplicated_files = a.deduplicated_files + excluded.deduplicated_files,
        saved_bytes = a.saved_bytes + excluded.saved_bytes,
        failed_files = a.failed_files + excluded.failed_files,
        deleted_files = a.deleted_files + excluded.deleted_files,
        deleted_bytes = a.deleted_bytes + excluded.deleted_bytes,
        processing_ms = a.processing_ms + excluded.processing_ms,
        retried_files = a.retried_files + excluded.retried_files,
        lost_files = a.lost_files + excluded.lost_files,
        lost_bytes = a.lost_bytes + excluded.lost_bytes,
        stored_files = a.stored_files + excluded.stored_files,
        stored_bytes = a.stored_bytes + excluded.stored_bytes;

    insert into public.media_processing_times as t (date, media_type, time_bucket, files)
    select f.date, f.media_type, f.time_bucket, sum(f.total_files)
    from unnest(v_deltas) f
    where f.time_bucket is not null
    group by f.date, f.media_type, f.time_bucket
    on conflict (date, media_type, time_bucket) do update
    set files = t.files + excluded.files;

    perform public.fold_media_throughput(v_deltas);
    perform public.fold_bucket_totals(p_limit);
    return coalesce(cardinality(v_deltas), 0);
end;
$$;

comment on function public.fold_media_analytics is
    'Fold up to p_limit rows of media_analytics_deltas and media_bucket_deltas into the figures; returns how many of the former. One transaction at a time.';
