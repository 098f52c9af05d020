-- WhatsApp has handed out files, so it refuses nothing more of these attempts.

create or replace function public.note_media_received(p_jobs public.media_processing_queue[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_heard public.media_processing_queue[];
begin
    update public.media_processing_queue q
    set bytes_received = true
    where q.id = any (array(select j.id from unnest(p_jobs) j));

    v_heard := array(select j from unnest(p_jobs) j where not j.source_answered); -- else forgiven when it was
    if v_heard <> '{}' then
        perform public.forgive_unheard_requests(v_heard);
    end if;
end;
$$;

comment on function public.note_media_received is
    'Record that the files of these jobs were handed out by WhatsApp, and forget their numbers'' earlier unheard requests.';
