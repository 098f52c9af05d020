-- The files at these paths were asked for one by one: what still differs is believed.
--
-- A listing takes its time: files come and go meanwhile, and rows with them.

create or replace function public.confirm_media_differences(p_run_id uuid, p_files jsonb)
returns table (
    difference text,
    bucket_name text,
    storage_path text,
    expected_size bigint,
    expected_type text,
    file_size bigint,
    mime_type text,
    changed_at timestamptz,
    attachments integer
)
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_files jsonb := (
        select coalesce(jsonb_agg(f.file), '[]')
        from jsonb_array_elements(p_files) f (file)
        where f.file ->> 'is_there' is not null);
begin
    perform public.relist_media_files(p_run_id, v_files);
    update public.media_storage_differences d
    set status = 'left'
    from jsonb_to_recordset(p_files) f (bucket_name text, storage_path text, is_there boolean)
    where d.run_id = p_run_id and d.bucket_name = f.bucket_name and d.storage_path = f.storage_path
        and f.is_there is null;
    delete from public.media_storage_differences d
    using jsonb_to_recordset(v_files) f (bucket_name text, storage_path text)
    where d.run_id = p_run_id and d.bucket_name = f.bucket_name and d.storage_path = f.storage_path;
    insert into public.media_storage_differences
    select x.*
    from (
        select f.bucket_name, array_agg(f.storage_path) as paths
        from jsonb_to_recordset(v_files) f (bucket_name text, storage_path text)
        group by f.bucket_name
    ) b
    cross join lateral public.find_media_differences(p_run_id, b.bucket_name, b.paths) x
    where x.difference <> 'foreign';
    return query
    update public.media_storage_differences d
    set status = 'confirmed'
    from jsonb_to_recordset(v_files) f (bucket_name text, storage_path text)
    where d.run_id = p_run_id and d.bucket_name = f.bucket_name and d.storage_path = f.storage_path
    returning d.difference, d.bucket_name, d.storage_path, d.expected_size, d.expected_type,
        d.file_size, d.mime_type, d.changed_at,
        (select count(*)::integer from public.media m where m.object_id = d.object_id);
end;
$$;

comment on function public.confirm_media_differences is
    'Confirm differences of a run by what storage says of each file: an array of objects with bucket_name, storage_path, is_there (null where storage did not say: that difference is left) and, if so, file_size, mime_type, created_at, updated_at. Returns those that are left, with sizes in bytes and how many attachments refer to the file. Error: MD060 no such run.';
grant execute on function public.confirm_media_differences to media_admin;
