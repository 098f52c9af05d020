-- The pollers that were heard of within a lease: whoever is silent for longer holds no job any more.

create or replace function public.list_live_pollers()
returns json
language sql
stable
set search_path = ''
as $$
    select coalesce(json_agg(json_build_object(
        'poller', p.poller,
        'version', p.version,
        'mode', p.mode,
        'in_flight', p.in_flight,
        'work', p.work,
        'started_at', p.started_at,
        'seen_at', p.seen_at
    ) order by p.poller), '[]')
    from public.media_pollers p
    cross join public.media_settings s
    where p.seen_at > now() - s.lease;
$$;

comment on function public.list_live_pollers is
    'A JSON array of {poller, version, mode (listen or poll), in_flight, work (of some: id, step, bytes_done, bytes_total, seconds), started_at, seen_at}.';
