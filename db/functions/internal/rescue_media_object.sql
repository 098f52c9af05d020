-- Take a stored object back from the deletion queue, unless a poller is already removing its file.
--
-- Not for an attachment that would be refused it: nothing would refer to it then.

create or replace function public.rescue_media_object(
    p_media_id uuid,
    p_content_hash text,
    p_is_public boolean
)
returns public.media_objects
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
    v_object_id uuid;
begin
    if not exists (
        select from public.media_objects o where o.content_hash = p_content_hash and o.state = 'deleting'
    ) then
        return null;
    end if;
    begin
        delete from public.media_deletion_queue d
        where d.id = (
            select w.id
            from public.media_objects o
            join public.media_deletion_queue w on w.object_id = o.id
            where o.content_hash = p_content_hash
                and o.is_public = p_is_public
                and o.state = 'deleting'
                and w.status = 'pending'
                and w.attempts = 0
                and exists (
                    select
                    from public.media m
                    join public.media_formats f on f.mime_type = o.mime_type
                    where m.id = p_media_id and (m.media_type is null or m.media_type = any (f.arrives_as))
                        and public.may_be_declared_as(f, m.mime_type))
                and not exists (select from public.find_content_refusal(o.mime_type, o.checks))
            limit 1
            for update of w skip locked
        )
        returning d.object_id into v_object_id;
        if found then
            update public.media_objects o
            set state = 'stored'
            where o.id = v_object_id
            returning * into v_object;
        end if;
    exception when unique_violation then -- somebody reserves it anew at this moment, who was not seen before
        return null;
    end;
    return v_object;
end;
$$;

comment on function public.rescue_media_object is
    'Take a content whose removal has not begun back from the deletion queue, for an attachment that will refer to it; a null row when there is none.';
