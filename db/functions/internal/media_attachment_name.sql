-- The policy of serving: null for what a browser may show, else the name it is to save the file under.

create or replace function public.media_attachment_name(
    p_object public.media_objects,
    p_id uuid,
    p_file_name text,
    p_download boolean default false
)
returns text
language sql
stable
set search_path = ''
as $$
    select case when p_download or not coalesce(f.served_inline, false)
        then public.media_download_name(
            coalesce( -- of a file that was stored as another type
                regexp_replace(p_file_name, '[.](' || array_to_string(r.extension || r.other_extensions, '|') || ')$', '', 'i'),
                p_file_name),
            p_id::text,
            array_remove(array[f.extension, substring((p_object).storage_path from '\.([a-z0-9]+)$')] || f.other_extensions, null))
        end
    from (select) always
    left join public.media_formats f on f.mime_type = coalesce((p_object).stored_type, (p_object).mime_type)
    left join public.media_formats r on r.mime_type = (p_object).mime_type and (p_object).stored_type is not null;
$$;

comment on function public.media_attachment_name is
    'Under which name a stored file must be served as an attachment; null when a browser may show it and p_download does not ask for more.';
