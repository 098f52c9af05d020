-- The name a download is saved under: the one the sender gave, made harmless.
--
-- Folders go, and so does what is not seen, turns the direction of reading or is refused by some file
-- system. The end is an extension of the format, so that what was checked to be text is not opened as a
-- program. It has 255 bytes at most, as file systems want it. An apostrophe becomes a typographic one:
-- Storage sends it bare where it ends the name (https://github.com/supabase/storage/issues/1385).

create or replace function public.media_download_name(p_file_name text, p_default text, p_extensions text[])
returns text
language sql
immutable
set search_path = ''
as $$
    with cleaned as (
        select coalesce(nullif(btrim(
            regexp_replace(
                replace(regexp_replace(p_file_name, '^.*[/\\]', ''), '''', chr(8217)),
                '[\u0001-\u001f"*:<>?|\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]',
                '_', 'g'),
            ' .'), ''), p_default) as name
    ),
    divided as (
        select
            case when e.extension is null then c.name else left(c.name, -1 - length(e.extension)) end as stem,
            coalesce(e.extension, p_extensions[1], 'bin') as extension
        from cleaned c
        left join substring(c.name from '.\.([^.]+)$') e (extension) on lower(e.extension) = any (p_extensions)
    )
    select left(d.stem, (
            select max(n)
            from generate_series(1, 255) n
            where octet_length(left(d.stem, n)) <= 254 - octet_length(d.extension)
        )) || '.' || d.extension
    from divided d;
$$;

comment on function public.media_download_name is
    'The name a download is saved under, made of the sender''s or else of p_default: no folder, nothing unprintable, one of p_extensions (the first unless it has another of them), 255 bytes at most.';
