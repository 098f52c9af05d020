-- WhatsApp has answered what a file is: a number whose requests it answers is well.

create or replace function public.note_source_answered(p_job public.media_processing_queue)
returns void
language sql
volatile
set search_path = ''
as $$
    update public.media_processing_queue q
    set source_answered = true
    where q.id = p_job.id;

    select public.forgive_unheard_requests(p_job);
$$;

comment on function public.note_source_answered is
    'Record that WhatsApp has answered what a job''s file is, and forget its number''s earlier unheard requests.';
