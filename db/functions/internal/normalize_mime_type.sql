-- A content type without parameters, lowercase: 'Audio/OGG; codecs=opus' is 'audio/ogg'.

create or replace function public.normalize_mime_type(p_mime_type text)
returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
    select nullif(lower(btrim(split_part(p_mime_type, ';', 1))), '');
$$;

comment on function public.normalize_mime_type is
    'A content type in lowercase and without its parameters; null for an empty one.';
