-- List the next files of a bucket from the tables of the storage server, without asking it.

create or replace function public.copy_media_listing(
    p_run_id uuid,
    p_bucket_name text,
    p_after text,
    p_limit integer
)
returns table (files integer, last_path text)
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
set enable_bitmapscan = off -- page after page by the index, also where no statistics were gathered
set enable_sort = off
as $$
begin
    perform public.touch_media_reconcile(p_run_id);
    execute format($copy$
        with page as materialized (
            select o.name, o.metadata, o.created_at, o.updated_at
            from %s o
            where o.bucket_id = $2 and o.name > $3 and public.in_media_folder(o.name)
            order by o.name
            limit $4
        ),
        copied as (
            insert into public.media_storage_listing (
                run_id, bucket_name, storage_path, file_size, mime_type, changed_at
            )
            select $1, $2, p.name,
                case when p.metadata ->> 'size' ~ '^[0-9]{1,18}$' then (p.metadata ->> 'size')::bigint end,
                public.normalize_mime_type(p.metadata ->> 'mimetype'),
                greatest(p.created_at, p.updated_at)
            from page p
            on conflict do nothing
        )
        select count(*)::integer, max(p.name) from page p
    $copy$, to_regclass('storage.objects')) -- which is not there everywhere
    into files, last_path
    using p_run_id, p_bucket_name, p_after, p_limit;
    return next;
end;
$$;

comment on function public.copy_media_listing is
    'Add to the listing of a run up to p_limit files of a bucket, by storage.objects, in the order of their paths after p_after (empty: from the start). Returns how many and the last path; none at the end. Error: MD060 no such run.';
grant execute on function public.copy_media_listing to media_admin;
