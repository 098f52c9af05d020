-- The sources of these jobs did their part: see end_media_pause.

create or replace function public.end_source_pauses(p_jobs public.media_processing_queue[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform public.end_media_pause(p.scope)
    from public.media_pauses p
    where p.scope = any (array(select j.source from unnest(p_jobs) j)) and p.until <= now();
end;
$$;

comment on function public.end_source_pauses is
    'Forget the pauses of the sources of these jobs, which have just worked, unless they are still running.';
