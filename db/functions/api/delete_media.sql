-- Delete one attachment. Its file goes when nothing else refers to the same content.

create or replace function public.delete_media(id uuid)
returns boolean
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_reason text;
begin
    perform from public.media m where m.id = delete_media.id for update;
    select h.reason into v_reason from public.media_holds h where h.media_id = delete_media.id;
    if found then
        raise exception 'media % is held: %', delete_media.id, v_reason
            using errcode = 'MD021', hint = 'release_media_hold ends the hold; then delete it.';
    end if;
    delete from public.media m where m.id = delete_media.id; -- the trigger release_media_objects does the rest
    return found;
end;
$$;

comment on function public.delete_media is
    'Delete an attachment in any state; its file is removed from storage by a poller once nothing refers to the content any more. Returns false when there was no such attachment. Errors: MD021 it is held.';
grant execute on function public.delete_media to media_admin;
