-- May bytes of this format come under this declared type?

create or replace function public.may_be_declared_as(p_format public.media_formats, p_declared text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
    v_declared public.media_formats;
begin
    if p_format.declared_as is null
        or p_format.declared_as = 'any'
        or p_declared is null
        or p_declared in ('application/octet-stream', p_format.mime_type)
    then
        return true;
    end if;
    v_declared := public.find_media_format(p_declared);
    return coalesce(
        v_declared.mime_type = p_format.mime_type
            or p_format.declared_as = 'family' and v_declared.media_type = p_format.media_type,
        false);
end;
$$;

comment on function public.may_be_declared_as is
    'Whether media_formats.declared_as lets bytes of this format come under this declared type, or under none.';
