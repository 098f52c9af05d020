-- A poller goes in an orderly way.

create or replace function public.leave_media_poller(p_poller text)
returns void
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    delete from public.media_pollers p where p.poller = p_poller;
$$;

comment on function public.leave_media_poller is 'Forget a poller that stops.';
grant execute on function public.leave_media_poller to media_poller;
