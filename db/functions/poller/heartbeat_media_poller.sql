-- A poller shows that it is alive, and how far it is, and hears when it works with the wrong project.

create or replace function public.heartbeat_media_poller(
    p_poller text,
    p_version text,
    p_mode text,
    p_in_flight integer,
    p_work jsonb default '[]',
    p_project_url text default null
)
returns double precision
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    perform public.check_media_project(p_project_url);
    insert into public.media_pollers as p (poller, version, mode, in_flight, work, project_url)
    values (p_poller, p_version, p_mode, p_in_flight, jsonb_path_query_array(p_work, 'lax $[0 to 49]'), p_project_url)
    on conflict (poller) do update
    set
        version = excluded.version,
        mode = excluded.mode,
        in_flight = excluded.in_flight,
        work = excluded.work,
        project_url = excluded.project_url,
        seen_at = now();

    return (select extract(epoch from s.lease)::double precision from public.media_settings s);
end;
$$;

comment on function public.heartbeat_media_poller is
    'Record that a poller is alive. p_mode: listen or poll. p_in_flight: jobs in hand. p_work: what up to 50 of them are at, an array of {id, step, bytes_done, bytes_total (or null), seconds}. p_project_url: the Supabase project in whose storage it works. Returns the lease in seconds; come again, and renew, three times in it. Error: MD061 the files are in another project: give all jobs back and stop.';
grant execute on function public.heartbeat_media_poller to media_poller;
