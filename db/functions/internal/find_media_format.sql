-- The row of media_formats that a content type names, by its own name or an alias.

create or replace function public.find_media_format(p_mime_type text)
returns public.media_formats
language plpgsql
stable
set search_path = ''
as $$
declare
    v_mime text := public.normalize_mime_type(p_mime_type);
    v_format public.media_formats;
begin
    select f.* into v_format
    from public.media_formats f
    where f.mime_type = v_mime or v_mime = any (f.aliases);
    return v_format;
end;
$$;

comment on function public.find_media_format is
    'The allowed format a content type names, directly or by an alias; null when it is not allowed.';
