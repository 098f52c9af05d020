-- A content type without parameters, lowercase: 'Audio/OGG; codecs=opus' is 'audio/ogg'. In plpgsql, as
-- all small functions that are called for every attachment: a function in SQL is planned anew, or at
-- least started as a query of its own, by every caller.

create or replace function public.normalize_mime_type(p_mime_type text)
returns text
language plpgsql
immutable
parallel safe
set search_path = ''
as $$
begin
    return nullif(lower(btrim(split_part(p_mime_type, ';', 1))), '');
end;
$$;

comment on function public.normalize_mime_type is
    'A content type in lowercase and without its parameters; null for an empty one.';
