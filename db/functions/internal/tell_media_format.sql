-- The format of received bytes. What is encrypted hides which one it is: there the declared type tells.

create or replace function public.tell_media_format(p_mime_type text, p_declared text)
returns public.media_formats
language plpgsql
stable
set search_path = ''
as $$
declare
    v_format public.media_formats := public.find_media_format(p_mime_type);
begin
    if v_format.mime_type is null then
        v_format := public.find_media_format(p_declared);
        if (v_format.encrypted_type = public.normalize_mime_type(p_mime_type)) is not true then
            return null;
        end if;
    end if;
    return v_format;
end;
$$;

comment on function public.tell_media_format is
    'The allowed format of bytes that were detected as p_mime_type and announced as p_declared; null when it is not allowed.';
