-- Take back the reservations an attachment leads. What it may have uploaded is queued for removal,
-- after a lease: by then its poller has heard, or is dead, and no file comes after its removal.

create or replace function public.drop_media_reservations(p_leader_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    if not exists (select from public.media_objects o where o.leader_id = p_leader_id) then
        return;
    end if;
    with dropped as (
        delete from public.media_objects o
        where o.leader_id = p_leader_id
        returning o.bucket_name, o.storage_path
    )
    insert into public.media_deletion_queue (bucket_name, storage_path, reason, due_at)
    select d.bucket_name, d.storage_path, 'upload abandoned', now() + s.lease
    from dropped d
    cross join public.media_settings s
    where d.storage_path is not null
    on conflict (bucket_name, storage_path) do nothing;
end;
$$;

comment on function public.drop_media_reservations is
    'Take back the reservations an attachment leads, and queue for removal what it may have uploaded.';
