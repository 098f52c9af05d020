-- WhatsApp has handed out files, so it refuses nothing more of these attempts.

create or replace function public.note_media_received(p_jobs public.media_processing_queue[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_by_webhook uuid[] := array(
        select j.id from unnest(p_jobs) j where j.source_url is not null and not j.source_answered);
    v_asked uuid[] := array(
        select j.id from unnest(p_jobs) j where j.source_url is null or j.source_answered);
begin
    update public.media_processing_queue q
    set bytes_received = true
    where q.id = any (v_by_webhook || v_asked);

    if v_by_webhook <> '{}' then
        perform public.forgive_unheard_requests(v_by_webhook, array['webhook url']);
    end if;
    if v_asked <> '{}' then
        perform public.forgive_unheard_requests(v_asked, array['metadata', 'download']);
    end if;
end;
$$;

comment on function public.note_media_received is
    'Record that the files of these jobs were handed out by WhatsApp, and forget the files'' earlier unheard requests of that kind.';
