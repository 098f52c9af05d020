-- The row of media_formats that a content type names, by its own name or an alias.

create or replace function public.find_media_format(p_mime_type text)
returns setof public.media_formats
language sql
stable
set search_path = ''
as $$
    select f.*
    from public.media_formats f
    where f.mime_type = public.normalize_mime_type(p_mime_type)
        or public.normalize_mime_type(p_mime_type) = any (f.aliases);
$$;

comment on function public.find_media_format is
    'The allowed format a content type names, directly or by an alias; no row when it is not allowed.';
