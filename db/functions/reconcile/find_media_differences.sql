-- What is wrong with these paths of a bucket, by the listing of a run: the rules, in one place.
--
-- A file that is on its way out is no difference. One that pgmedia did not name, or that a bot has a
-- row for from before it had pgmedia, is somebody else's (foreign), which is only counted. What is
-- young, or of unknown age, may be in the middle of something. Each path is looked up by itself
-- (limit 1), as nobody has gathered statistics of a listing that was just made, from which a join
-- could be planned.

create or replace function public.find_media_differences(p_run_id uuid, p_bucket_name text, p_paths text[])
returns setof public.media_storage_differences
language sql
stable
set search_path = ''
as $$
    select r.id, p_bucket_name, k.storage_path, x.difference, 'found', o.id, o.stored_at, o.stored_size,
        coalesce(o.stored_type, o.mime_type), f.file_size, f.mime_type, f.changed_at
    from public.media_reconcile_runs r
    cross join unnest(p_paths) k (storage_path)
    left join lateral (
        select l.*
        from public.media_storage_listing l
        where l.run_id = r.id and l.bucket_name = p_bucket_name and l.storage_path = k.storage_path
        limit 1
    ) f on true
    left join lateral (
        select m.*
        from public.media_objects m
        where m.bucket_name = p_bucket_name and m.storage_path = k.storage_path
        limit 1
    ) o on true
    left join lateral (
        select q.id
        from public.media_deletion_queue q
        where q.bucket_name = p_bucket_name and q.storage_path = k.storage_path
        limit 1
    ) d on true
    cross join lateral (
        select case
            when d.id is not null or p_bucket_name <> all (r.bucket_names) then null
            when o.id is null and f.storage_path is not null then case
                when not public.is_media_path(k.storage_path) or exists (
                    select
                    from public.media b
                    where b.storage_path in (k.storage_path, p_bucket_name || '/' || k.storage_path)
                        and b.object_id is null
                        and coalesce(b.bucket_name, p_bucket_name) = p_bucket_name
                ) then 'foreign'
                when f.changed_at < r.older_than then 'orphan'
            end
            when o.state = 'stored' and o.stored_at < r.older_than then case
                when f.storage_path is null then 'missing'
                when f.changed_at < r.older_than
                    and (f.file_size <> o.stored_size or f.mime_type <> coalesce(o.stored_type, o.mime_type)) then 'differs'
            end
        end
    ) x (difference)
    where r.id = p_run_id and x.difference is not null;
$$;

comment on function public.find_media_differences is
    'The differences at these paths between the listing of a run and the rows as they are now, and the files that are none of pgmedia''s (foreign).';
