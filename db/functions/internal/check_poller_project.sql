-- A poller that works with another project than the database's, as after a move of the files, claims
-- nothing and records nothing more.

create or replace function public.check_poller_project(p_poller text)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
    perform public.check_media_project((select p.project_url from public.media_pollers p where p.poller = p_poller));
end;
$$;

comment on function public.check_poller_project is
    'Raise MD061 when the poller''s last heartbeat named another Supabase project than the one in which the files are now.';
