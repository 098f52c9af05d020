-- A poller shows that it is alive, forgets those that are not, and does the small
-- chores: it folds the analytics and prunes webhook calls.

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
    delete from public.media_pollers p
    using public.media_settings s
    where p.seen_at < now() - 5 * s.lease;

    insert into public.media_pollers as p (poller, version, mode, in_flight)
    values (p_poller, p_version, p_mode, p_in_flight)
    on conflict (poller) do update
    set version = excluded.version, mode = excluded.mode, in_flight = excluded.in_flight, seen_at = now();

    perform public.fold_media_analytics();
    perform public.prune_whatsapp_webhooks();
    return (select extract(epoch from s.lease)::double precision from public.media_settings s);
end;
$$;

comment on function public.heartbeat_media_poller is
    'Record that a poller is alive. p_mode: listen or poll. p_in_flight: jobs in hand. Returns the lease in seconds; come again, and renew, three times in it.';
grant execute on function public.heartbeat_media_poller to media_poller;
