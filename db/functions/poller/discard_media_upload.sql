-- A poller uploaded and could not record it: the file goes, unless its path is in use.
--
-- A removal of the path that is under way may have come before the upload: it is taken from its
-- poller and done again. One that has not begun is enough as it is.

create or replace function public.discard_media_upload(p_bucket_name text, p_storage_path text)
returns boolean
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    update public.media_deletion_queue d
    set
        status = 'pending',
        due_at = now(),
        fencing_token = d.fencing_token + 1,
        claimed_by = null,
        lease_until = null
    where d.bucket_name = p_bucket_name and d.storage_path = p_storage_path and d.status = 'processing';
    if not found then
        insert into public.media_deletion_queue (bucket_name, storage_path, reason)
        select p_bucket_name, p_storage_path, 'upload not recorded'
        where public.is_media_path(p_storage_path)
            and not exists (
                select
                from public.media_objects o
                where o.bucket_name = p_bucket_name and o.storage_path = p_storage_path
            )
        on conflict (bucket_name, storage_path) do nothing;
    end if;
    return found;
end;
$$;

comment on function public.discard_media_upload is
    'Queue an uploaded file for removal when no object row has its path, or again when its removal is under way; returns whether it was queued.';
grant execute on function public.discard_media_upload to media_poller;
