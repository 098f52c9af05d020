-- A poller shows that it is alive.

create or replace function public.heartbeat_media_poller(
    p_poller text,
    p_version text,
    p_mode text,
    p_in_flight integer
)
returns double precision
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    insert into public.media_pollers as p (poller, version, mode, in_flight)
    values (p_poller, p_version, p_mode, p_in_flight)
    on conflict (poller) do update
    set version = excluded.version, mode = excluded.mode, in_flight = excluded.in_flight, seen_at = now();

    return (select extract(epoch from s.lease)::double precision from public.media_settings s);
end;
$$;

comment on function public.heartbeat_media_poller is
    'Record that a poller is alive. p_mode: listen or poll. p_in_flight: jobs in hand. Returns the lease in seconds; come again, and renew, three times in it.';
grant execute on function public.heartbeat_media_poller to media_poller;
