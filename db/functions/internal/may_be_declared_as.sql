-- May bytes of this format come under this declared type?

create or replace function public.may_be_declared_as(p_format public.media_formats, p_declared text)
returns boolean
language sql
stable
set search_path = ''
as $$
    select
        (p_format).declared_as is null
        or (p_format).declared_as = 'any'
        or p_declared is null
        or p_declared = 'application/octet-stream'
        or exists (
            select
            from public.find_media_format(p_declared) f
            where f.mime_type = (p_format).mime_type
                or (p_format).declared_as = 'family' and f.media_type = (p_format).media_type);
$$;

comment on function public.may_be_declared_as is
    'Whether media_formats.declared_as lets bytes of this format come under this declared type, or under none.';
