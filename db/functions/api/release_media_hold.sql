-- End the hold on an attachment. It is deleted by nothing but the next cleanup or delete_media.

create or replace function public.release_media_hold(id uuid)
returns boolean
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
begin
    delete from public.media_holds h where h.media_id = release_media_hold.id;
    return found;
end;
$$;

comment on function public.release_media_hold is
    'End the hold that hold_media put on an attachment. Returns false when it was not held.';
grant execute on function public.release_media_hold to media_admin;
