-- What is wrong with these paths of a bucket, by the listing of a run: the rules, in one place.
--
-- A file that is on its way out is no difference. What is young, or of unknown age, may be in the
-- middle of something.

create or replace function public.find_media_differences(p_run_id uuid, p_bucket_name text, p_paths text[])
returns setof public.media_storage_differences
language sql
stable
set search_path = ''
as $$
    select r.id, p_bucket_name, k.storage_path, x.difference, 'found', o.id, o.stored_at, o.stored_size,
        o.mime_type, f.file_size, f.mime_type, f.changed_at
    from public.media_reconcile_runs r
    cross join unnest(p_paths) k (storage_path)
    left join public.media_storage_listing f
        on f.run_id = r.id and f.bucket_name = p_bucket_name and f.storage_path = k.storage_path
    left join public.media_objects o on o.bucket_name = p_bucket_name and o.storage_path = k.storage_path
    left join public.media_deletion_queue d
        on d.bucket_name = p_bucket_name and d.storage_path = k.storage_path
    cross join lateral (
        select case
            when d.id is not null or p_bucket_name <> all (r.bucket_names) then null
            when o.id is null and f.changed_at < r.older_than then 'orphan'
            when o.state = 'stored' and o.stored_at < r.older_than then case
                when f.storage_path is null then 'missing'
                when f.changed_at < r.older_than
                    and (f.file_size <> o.stored_size or f.mime_type <> o.mime_type) then 'differs'
            end
        end
    ) x (difference)
    where r.id = p_run_id and x.difference is not null;
$$;

comment on function public.find_media_differences is
    'The differences at these paths between the listing of a run and the rows as they are now.';
