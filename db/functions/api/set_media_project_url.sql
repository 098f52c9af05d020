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
    with stale as (
        select m.id, public.media_public_url(o, m.id, m.file_name) as url
        from public.media m
        join public.media_objects o on o.id = m.object_id
        where o.is_public and m.public_url is distinct from public.media_public_url(o, m.id, m.file_name)
        order by m.id -- as a deletion locks them, and another run of this
        for no key update of m
    )
    update public.media m
    set public_url = s.url
    from stale s
    where m.id = s.id;
    get diagnostics v_rebuilt = row_count;
    return v_rebuilt;
end;
$$;

comment on function public.set_media_project_url is
    'Set the Supabase project URL, and rebuild every public_url that differs from what it and media_formats give. Returns how many were rebuilt.';
grant execute on function public.set_media_project_url to media_admin;
