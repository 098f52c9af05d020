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

    perform public.forgive_unheard_requests(p_job, case
        when p_job.source_url is not null and not p_job.source_answered then array['webhook url']
        else array['metadata', 'download'] end);
end;
$$;

comment on function public.note_media_received is
    'Record that a job''s file was handed out by WhatsApp, and forget the file''s earlier unheard requests of that kind.';
