-- The media types to go through: those asked for, or all that any media row has, null included.
-- One look at the index for each, however many rows there are.

create or replace function public.list_media_types(p_media_types text[])
returns table (media_type text)
language sql
stable
set search_path = ''
as $$
    with recursive there as (
        (select m.media_type::text from public.media m order by m.media_type limit 1)
        union all
        select (
            select m.media_type from public.media m where m.media_type > t.media_type order by m.media_type limit 1)
        from there t
        where t.media_type is not null
    )
    select distinct asked from unnest(p_media_types) asked
    union all
    select t.media_type from there t where p_media_types is null and t.media_type is not null
    union all
    select null
    where p_media_types is null and exists (select from public.media m where m.media_type is null);
$$;

comment on function public.list_media_types is
    'p_media_types, each once; when it is null, every media type that a media row has, null included.';
