-- Files are looked for, removed and stored in the project that the database knows, or not at all: in
-- another one every file would seem to be missing, so that it would be forgotten.

create or replace function public.check_media_project(p_project_url text)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    v_known text := (select s.project_url from public.media_settings s);
begin
    if rtrim(p_project_url, '/') <> v_known then
        raise exception 'the files are in the storage of %, not of %', v_known, quote_literal(left(p_project_url, 500))
            using errcode = 'MD061', hint = 'Correct SUPABASE_URL or DATABASE_URL; after a move of the project, run pgmedia buckets first.';
    end if;
end;
$$;

comment on function public.check_media_project is
    'Raise MD061 when this is not the Supabase project in which the files are. Null, as of a caller that does not say, or while the database does not know it either, is no error.';
