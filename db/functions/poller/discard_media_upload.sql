-- A poller uploaded and could not record it: the file goes, unless its path is in use.
--
-- A removal of the path that is under way may have come before the upload: it is taken from its
-- poller and done again. One that has not begun is enough. An upload that was dropped, or has had no
-- answer, may still be under way, so its removal waits for a lease.

create or replace function public.discard_media_upload(
    p_bucket_name text,
    p_storage_path text,
    p_answered boolean
)
returns boolean
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_due_at timestamptz := now();
begin
    if p_answered is not true then
        v_due_at := now() + (select s.lease from public.media_settings s);
    end if;
    update public.media_deletion_queue d
    set
        status = 'pending',
        due_at = greatest(case when d.status = 'pending' then d.due_at end, v_due_at),
        fencing_token = d.fencing_token + (d.status = 'processing')::integer,
        claimed_by = null,
        lease_until = null
    where d.bucket_name = p_bucket_name
        and d.storage_path = p_storage_path
        and (d.status = 'processing' or p_answered is not true and d.due_at < v_due_at);
    if not found then
        insert into public.media_deletion_queue (bucket_name, storage_path, reason, due_at)
        select p_bucket_name, p_storage_path, 'upload not recorded', v_due_at
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
    'Queue an uploaded file for removal when no object row has its path, or again when its removal is under way; returns whether it was queued. p_answered: storage has answered the upload; else its removal waits for a lease, as the file may still come.';
grant execute on function public.discard_media_upload to media_poller;
