-- The fence: lock the job for its poller, or raise MD001.
--
-- Every write of a poller begins here. A row that was claimed again carries a higher token, so a
-- poller that lost its lease changes nothing, however late its call arrives. The media row is
-- locked before the queue row everywhere, as a deletion does, which so waits instead of deadlocking.

create or replace function public.lock_media_job(p_id uuid, p_poller text, p_token integer)
returns public.media_processing_queue
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_job public.media_processing_queue;
begin
    select q.* into v_job
    from public.media_processing_queue q
    join public.media m on m.id = q.id
    where q.id = p_id
        and q.status = 'processing'
        and q.claimed_by = p_poller
        and q.fencing_token = p_token
    for key share of m
    for update of q;
    if not found then
        raise exception 'poller % no longer holds media % (fencing token %)', p_poller, p_id, p_token
            using errcode = 'MD001', hint = 'Another poller took it over, or it is done: drop this result.';
    end if;
    return v_job;
end;
$$;

comment on function public.lock_media_job is
    'Lock a claimed job for the poller that holds it. MD001 when the lease was lost.';
