-- Everything that happened to one attachment, in order, also after it was deleted. The removal of a
-- file that it referred to is in the trail of the object, which the attachment's own events name.
--
-- Why something is held, and what operators changed, is for those alone who may do it: for whoever may call
-- hold_media. The caller is the role acted in or else the login, as current_user is the owner here.

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
    select a.at, a.event, a.poller, a.attempt::integer,
        case when c.is_operator or a.event not in ('held', 'hold released') then a.detail end
    from public.media_audit_log a
    cross join (
        select has_function_privilege(
            coalesce(nullif(current_setting('role'), 'none'), session_user),
            'public.hold_media(uuid, text)', 'execute') as is_operator) c
    where (c.is_operator or a.media_id <> '00000000-0000-0000-0000-000000000000')
        and a.media_id = any (array[get_media_audit_trail.id] || array(
        select (d.detail ->> 'object_id')::uuid
        from public.media_audit_log d
        where d.media_id = get_media_audit_trail.id and d.event = 'deleted'))
    order by a.id;
$$;

comment on function public.get_media_audit_trail is
    'The events of one attachment, oldest first: queued, claimed, joined, deduplicated, stored, attempt failed, failed, deleted, file removed… Kept when the attachment is deleted. Also of the object whose id is given. Only operators (who may call hold_media) see the detail of holds, and what is about no attachment: the events of the id 00000000-0000-0000-0000-000000000000.';
grant execute on function public.get_media_audit_trail to media_client, media_admin;
