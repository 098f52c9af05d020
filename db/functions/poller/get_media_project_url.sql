-- Where public URLs lead to.

create or replace function public.get_media_project_url()
returns text
language sql
stable
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select s.project_url from public.media_settings s;
$$;

comment on function public.get_media_project_url is
    'The Supabase project URL that public URLs are built from; null as long as pgmedia buckets was not run.';
grant execute on function public.get_media_project_url to media_client, media_poller, media_admin;
