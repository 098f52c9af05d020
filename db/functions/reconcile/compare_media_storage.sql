-- Compare the next paths of a bucket, those of the listing and those of the rows, and keep what differs.

create or replace function public.compare_media_storage(
    p_run_id uuid,
    p_bucket_name text,
    p_after text,
    p_limit integer
)
returns table (last_path text, foreign_files integer)
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
set enable_bitmapscan = off -- page after page by the index, also where no statistics were gathered
set enable_sort = off
as $$
declare
    v_paths text[];
begin
    perform public.touch_media_reconcile(p_run_id);
    v_paths := array(
        select k.storage_path
        from (
            (
                select f.storage_path
                from public.media_storage_listing f
                where f.run_id = p_run_id and f.bucket_name = p_bucket_name and f.storage_path > p_after
                order by f.storage_path
                limit p_limit
            )
            union
            (
                select o.storage_path
                from public.media_objects o
                where o.bucket_name = p_bucket_name and o.storage_path > p_after
                    and public.in_media_folder(o.storage_path)
                order by o.storage_path
                limit p_limit
            )
        ) k
        order by k.storage_path
        limit p_limit
    );
    with found as materialized (
        select x.* from public.find_media_differences(p_run_id, p_bucket_name, v_paths) x
    ),
    kept as (
        insert into public.media_storage_differences
        select f.* from found f where f.difference <> 'foreign'
        on conflict do nothing
    )
    select count(*)::integer into foreign_files from found f where f.difference = 'foreign';
    last_path := v_paths[cardinality(v_paths)];
    return next;
end;
$$;

comment on function public.compare_media_storage is
    'Compare up to p_limit paths of a bucket after p_after (empty: from the start), listing against rows; list_media_differences has what differs. Returns the last path compared, null at the end, and how many files there were none of pgmedia''s, which are left alone. Error: MD060 no such run.';
grant execute on function public.compare_media_storage to media_admin;
