-- Is this a path as begin_media_upload makes them, of year, month, object id and extension?
-- Files of other names in the same folders are somebody else's.

create or replace function public.is_media_path(p_storage_path text)
returns boolean
language sql
immutable
parallel safe
set search_path = ''
as $$
    select p_storage_path ~
        '^[0-9]{4}/(0[1-9]|1[0-2])/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[a-z0-9]+$';
$$;

comment on function public.is_media_path is
    'Whether pgmedia itself could have given a file this path within its bucket: YYYY/MM/<object id>.<extension>.';
