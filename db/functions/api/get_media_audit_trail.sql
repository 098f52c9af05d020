-- Everything that happened to one attachment, in order, also after it was deleted. The removal of a
-- file that it referred to is in the trail of the object, which the attachment's own events name.

create or replace function public.get_media_audit_trail(id uuid)
returns table (
    at timestamptz,
    event text,
    poller text,
    attempt integer,
    detail jsonb
)
language sql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
    select a.at, a.event, a.poller, a.attempt::integer, a.detail
    from public.media_audit_log a
    where a.media_id = any (array[get_media_audit_trail.id] || array(
        select (d.detail ->> 'object_id')::uuid
        from public.media_audit_log d
        where d.media_id = get_media_audit_trail.id and d.event = 'deleted'))
    order by a.id;
$$;

comment on function public.get_media_audit_trail is
    'The events of one attachment, oldest first: queued, claimed, joined, deduplicated, stored, attempt failed, failed, deleted, file removed… Kept when the attachment is deleted. Also of the object whose id is given.';
grant execute on function public.get_media_audit_trail to media_client, media_admin;
