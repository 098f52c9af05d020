-- The one place where a public URL is made. p_id names an attachment whose sender gave it no name.

create or replace function public.media_public_url(
    p_object public.media_objects,
    p_id uuid,
    p_file_name text,
    p_download boolean default false
)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
    v_name text;
begin
    if not p_object.is_public then
        return null;
    end if;
    v_name := public.media_attachment_name(p_object, p_id, p_file_name, p_download);
    return (select s.project_url from public.media_settings s)
        || '/storage/v1/object/public/' || p_object.bucket_name || '/' || p_object.storage_path
        || coalesce('?download=' || public.percent_encode(v_name), '');
end;
$$;

comment on function public.media_public_url is
    'Where everybody may read a stored file, as an attachment where media_attachment_name says so; null for a private file, and while the project URL is not known.';
