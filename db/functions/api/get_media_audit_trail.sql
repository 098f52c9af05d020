-- Everything that happened to one attachment, in order, also after it was deleted.

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
    where a.media_id = get_media_audit_trail.id
    order by a.id;
$$;

comment on function public.get_media_audit_trail is
    'The events of one attachment, oldest first: queued, claimed, joined, deduplicated, stored, attempt failed, failed, deleted… Kept when the attachment is deleted.';
grant execute on function public.get_media_audit_trail to media_client, media_admin;
