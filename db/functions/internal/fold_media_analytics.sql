-- Fold the appended deltas into media_analytics. One at a time; whoever comes second does nothing.

create or replace function public.fold_media_analytics()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    if not pg_try_advisory_xact_lock(hashtext('pgmedia.fold')) then
        return 0;
    end if;
    with folded as (
        delete from public.media_analytics_deltas returning *
    ),
    summed as (
        insert into public.media_analytics as a
        select f.date, f.media_type, sum(f.total_files), sum(f.total_size_bytes), sum(f.unique_files),
            sum(f.deduplicated_files), sum(f.saved_bytes), sum(f.failed_files), sum(f.deleted_files),
            sum(f.deleted_bytes), sum(f.processing_ms), sum(f.lost_files), sum(f.lost_bytes)
        from folded f
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
            lost_files = a.lost_files + excluded.lost_files,
            lost_bytes = a.lost_bytes + excluded.lost_bytes
    )
    select count(*)::integer into v_count from folded;
    return v_count;
end;
$$;

comment on function public.fold_media_analytics is
    'Fold media_analytics_deltas into media_analytics; returns how many deltas were folded.';
