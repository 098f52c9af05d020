-- Where storage is reached: public URLs are built from it, and follow when it changes.
--
-- For operators alone: whoever may call it decides where every public URL leads, so no poller may.

create or replace function public.set_media_project_url(p_project_url text)
returns void
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
begin
    update public.media_settings s
    set project_url = rtrim(p_project_url, '/')
    where s.project_url is distinct from rtrim(p_project_url, '/');
    if found then
        update public.media m
        set public_url = s.project_url || '/storage/v1/object/public/' || m.bucket_name || '/' || m.storage_path
        from public.media_settings s, public.media_objects o
        where o.id = m.object_id and o.is_public;
    end if;
end;
$$;

comment on function public.set_media_project_url is
    'Set the Supabase project URL and rebuild every public_url from it when it has changed.';
grant execute on function public.set_media_project_url to media_admin;
