-- Is this a path below a year and a month, where pgmedia keeps its files? All others are not ours.
-- The dashboard of Supabase keeps empty folders alive by a file of its own.

create or replace function public.in_media_folder(p_storage_path text)
returns boolean
language sql
immutable
parallel safe
set search_path = ''
as $$
    select p_storage_path ~ '^[0-9]{4}/[0-9]{2}/' and p_storage_path !~ '/\.emptyFolderPlaceholder$';
$$;

comment on function public.in_media_folder is
    'Whether a path within a bucket is in a folder of a year and a month, as all files of pgmedia are.';
