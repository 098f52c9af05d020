-- The next differences of a run that have come this far: found, or confirmed.

create or replace function public.list_media_differences(p_run_id uuid, p_status text, p_limit integer)
returns table (bucket_name text, storage_path text)
language sql
stable
security definer -- one right on the function is enough
set search_path = ''
as $$
    select d.bucket_name, d.storage_path
    from public.media_storage_differences d
    where d.run_id = p_run_id and d.status = p_status
    order by d.bucket_name, d.storage_path
    limit p_limit;
$$;

comment on function public.list_media_differences is
    'Up to p_limit differences of a run to confirm (p_status found) or to fix (confirmed), in the order of their paths.';
grant execute on function public.list_media_differences to media_admin;
