-- Media rows are gone, however they were deleted: what was kept of their refused bytes goes too.

create or replace function public.release_quarantined_media()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever deletes media rows, with no rights on these tables
set search_path = ''
as $$
begin
    with released as (
        delete from public.media_quarantine q
        using gone g
        where q.media_id = g.id
        returning q.storage_path
    )
    insert into public.media_deletion_queue (bucket_name, storage_path, reason, due_at)
    select 'media-quarantine', r.storage_path, 'unused', now() + s.lease -- its upload may be under way
    from released r
    cross join public.media_settings s
    on conflict (bucket_name, storage_path) do nothing;
    return null;
end;
$$;

comment on function public.release_quarantined_media is
    'Trigger: when media rows are deleted, queue the refused bytes that were kept of them for removal.';

create or replace trigger release_quarantined_media
after delete on public.media
referencing old table as gone
for each statement execute function public.release_quarantined_media();
