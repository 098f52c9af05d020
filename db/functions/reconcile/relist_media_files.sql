-- What storage says of single files takes the place of what it listed earlier.

create or replace function public.relist_media_files(p_run_id uuid, p_files jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    delete from public.media_storage_listing l
    using jsonb_to_recordset(p_files) f (bucket_name text, storage_path text)
    where l.run_id = p_run_id and l.bucket_name = f.bucket_name and l.storage_path = f.storage_path;
    perform public.add_media_listing(p_run_id, (
        select coalesce(jsonb_agg(f.file), '[]')
        from jsonb_array_elements(p_files) f (file)
        where (f.file ->> 'is_there')::boolean
    ));
end;
$$;

comment on function public.relist_media_files is
    'Correct the listing of a run: of each file whether it is_there, and then as for add_media_listing. Error: MD060 no such run.';
