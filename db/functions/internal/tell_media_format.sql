-- The format of received bytes. What is encrypted hides which one it is: there the declared type tells.

create or replace function public.tell_media_format(p_mime_type text, p_declared text)
returns setof public.media_formats
language sql
stable
set search_path = ''
as $$
    select f.* from public.find_media_format(p_mime_type) f
    union all
    select f.*
    from public.find_media_format(p_declared) f
    where f.encrypted_type = public.normalize_mime_type(p_mime_type);
$$;

comment on function public.tell_media_format is
    'The allowed format of bytes that were detected as p_mime_type and announced as p_declared; no row when it is not allowed.';
