-- The fence for a single job: see lock_media_jobs.

create or replace function public.lock_media_job(p_id uuid, p_poller text, p_token integer)
returns public.media_processing_queue
language plpgsql
volatile
set search_path = ''
as $$
begin
    return (public.lock_media_jobs(p_poller, array[p_id], array[p_token]))[1];
end;
$$;

comment on function public.lock_media_job is
    'Lock a claimed job for the poller that holds it. MD001 when the lease was lost.';
