-- The policy of serving: null for what a browser may show, else the name it is to save the file under.

create or replace function public.media_attachment_name(
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
    v_format public.media_formats; -- as it is stored
    v_received public.media_formats;
    v_file_name text := p_file_name;
begin
    select f.* into v_format from public.media_formats f where f.mime_type = coalesce(p_object.stored_type, p_object.mime_type);
    if v_format.served_inline and p_download is not true then
        return null;
    end if;
    if p_object.stored_type is not null then
        select f.* into v_received from public.media_formats f where f.mime_type = p_object.mime_type;
        v_file_name := coalesce(
            regexp_replace(p_file_name,
                '[.](' || array_to_string(v_received.extension || v_received.other_extensions, '|') || ')$', '', 'i'),
            p_file_name);
    end if;
    return public.media_download_name(
        v_file_name, p_id::text,
        array_remove(
            array[v_format.extension, substring(p_object.storage_path from '\.([a-z0-9]+)$')]
                || v_format.other_extensions,
            null));
end;
$$;

comment on function public.media_attachment_name is
    'Under which name a stored file must be served as an attachment; null when a browser may show it and p_download does not ask for more.';
