-- Files that storage has, as it listed them: those in our folders are kept for the comparison.

create or replace function public.add_media_listing(p_run_id uuid, p_files jsonb)
returns integer
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
as $$
declare
    v_files integer;
begin
    perform public.touch_media_reconcile(p_run_id);
    insert into public.media_storage_listing (run_id, bucket_name, storage_path, file_size, mime_type, changed_at)
    select p_run_id, f.bucket_name, f.storage_path, f.file_size, public.normalize_mime_type(f.mime_type),
        greatest(f.created_at, f.updated_at)
    from jsonb_to_recordset(p_files) f (
        bucket_name text, storage_path text, file_size bigint, mime_type text,
        created_at timestamptz, updated_at timestamptz
    )
    where public.in_media_folder(f.storage_path)
    on conflict do nothing;
    get diagnostics v_files = row_count;
    return v_files;
end;
$$;

comment on function public.add_media_listing is
    'Add files to the listing of a run: an array of objects with bucket_name, storage_path, file_size (bytes), mime_type, created_at and updated_at. Those outside of folders of a year and a month are left out. Returns how many were added. Error: MD060 no such run.';
grant execute on function public.add_media_listing to media_admin;
