-- Record that somebody looked at an attachment, for cleanups that keep what is used.
--
-- To the hour: an attachment that is looked at all the time is written once an hour.

create or replace function public.touch_media(id uuid)
returns boolean
language plpgsql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
as $$
begin
    insert into public.media_accesses as a (media_id, accessed_at)
    select m.id, now()
    from public.media m
    where m.id = touch_media.id
    for key share -- a deletion at this moment is waited for
    on conflict (media_id) do update
    set accessed_at = excluded.accessed_at
    where a.accessed_at < excluded.accessed_at - interval '1 hour';
    return exists (select from public.media m where m.id = touch_media.id);
end;
$$;

comment on function public.touch_media is
    'Record an access to an attachment, to the hour; cleanup_old_media can keep what was looked at recently. Returns false when there is no such attachment.';
grant execute on function public.touch_media to media_client, media_admin;
