-- Media rows are gone, however they were deleted: let go of their objects.
--
-- An object nothing refers to any more goes to the deletion queue. The lock comes first and the
-- count in a statement of its own, so that a reference committed meanwhile is seen.

create or replace function public.release_media_objects()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever deletes media rows, with no rights on these tables
set search_path = ''
as $$
begin
    insert into public.media_audit_log (media_id, event, detail)
    select g.id, 'deleted', jsonb_strip_nulls(jsonb_build_object(
        'object_id', g.object_id,
        'by', nullif(current_setting('pgmedia.deleted_by', true), '')))
    from gone g;

    insert into public.media_analytics_deltas (
        date, media_type, deleted_files, deleted_bytes, stored_files, stored_bytes)
    select (now() at time zone 'utc')::date, d.media_type, d.files, d.bytes, -d.stored, -d.bytes
    from (
        select coalesce(g.media_type, 'unknown') as media_type, count(*) as files, count(g.object_id) as stored,
            coalesce(sum(g.file_size) filter (where g.object_id is not null), 0) as bytes
        from gone g
        group by g.media_type
    ) d;

    perform public.drop_media_reservations(o.leader_id)
    from public.media_objects o
    join gone g on g.id = o.leader_id;

    perform public.free_waiting_media(g.id)
    from gone g
    where exists (
        select from public.media_processing_queue q where q.waiting_for = g.id and q.status = 'waiting'
    );

    perform
    from public.media_objects o
    where o.id in (select g.object_id from gone g)
    order by o.id
    for update;

    with unused as (
        update public.media_objects o
        set state = 'deleting'
        where o.id in (select g.object_id from gone g)
            and o.state = 'stored'
            and not exists (select from public.media m where m.object_id = o.id)
        returning o.id, o.bucket_name, o.storage_path
    )
    insert into public.media_deletion_queue (object_id, bucket_name, storage_path, reason)
    select u.id, u.bucket_name, u.storage_path, 'unused'
    from unused u;
    perform public.wake_media_pollers();
    return null;
end;
$$;

comment on function public.release_media_objects is
    'Trigger: when media rows are deleted, queue the objects nothing refers to any more for removal.';

create or replace trigger release_media_objects
after delete on public.media
referencing old table as gone
for each statement execute function public.release_media_objects();
