-- WhatsApp has handed out a file, so it refuses nothing more of this attempt.

create or replace function public.note_media_received(p_job public.media_processing_queue)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_processing_queue q
    set bytes_received = true
    where q.id = p_job.id;

    if not p_job.source_answered then -- else they were forgiven when it was
        perform public.forgive_unheard_requests(p_job);
    end if;
end;
$$;

comment on function public.note_media_received is
    'Record that a job''s file was handed out by WhatsApp, and forget its number''s earlier unheard requests.';
