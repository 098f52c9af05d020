-- Where storage is reached: public URLs are built from it, and follow when it or what they are built
-- from has changed.
--
-- For operators alone: whoever may call it decides where every public URL leads, so no poller may.

create or replace function public.set_media_project_url(p_project_url text)
returns integer
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
declare
    v_rebuilt integer;
begin
    update public.media_settings s
    set project_url = rtrim(p_project_url, '/')
    where s.project_url is distinct from rtrim(p_project_url, '/');
    update public.media m
    set public_url = public.media_public_url(o, m.id, m.file_name)
    from public.media_objects o
    where o.id = m.object_id
        and o.is_public
        and m.public_url is distinct from public.media_public_url(o, m.id, m.file_name);
    get diagnostics v_rebuilt = row_count;
    return v_rebuilt;
end;
$$;

comment on function public.set_media_project_url is
    'Set the Supabase project URL, and rebuild every public_url that differs from what it and media_formats give. Returns how many were rebuilt.';
grant execute on function public.set_media_project_url to media_admin;
