-- The stored object an attachment of this type may share, locked against its removal.
--
-- An object that somebody is about to remove is not waited for: the answer is then null. In plpgsql
-- because it keeps the plan, where a function in SQL is planned anew by every caller.

create or replace function public.find_stored_object(p_content_hash text, p_media_type text)
returns public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
begin
    select o.* into v_object
    from public.media_objects o
    where o.content_hash = p_content_hash
        and o.state = 'stored'
        and exists (
            select
            from public.media_formats f
            where f.mime_type = o.mime_type
                and p_media_type = any (f.arrives_as)
                and (public.route_media_content(p_media_type, f)).is_public = o.is_public)
        and not exists (select from public.find_content_refusal(o.mime_type, o.checks))
    limit 1
    for share of o skip locked;
    return v_object;
end;
$$;

comment on function public.find_stored_object is
    'The stored object with this content that an attachment of this media type may refer to, share-locked; null when there is none.';
