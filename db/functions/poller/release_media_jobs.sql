-- Give jobs back unfinished: they are as due as they were, and have spent no attempt.

create or replace function public.release_media_jobs(p_poller text, p_ids uuid[], p_tokens integer[])
returns setof uuid
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_job public.media_processing_queue;
begin
    for v_job in
        select q.*
        from public.media_processing_queue q
        join unnest(p_ids, p_tokens) h (id, token) on h.id = q.id and h.token = q.fencing_token
        where q.claimed_by = p_poller and q.status = 'processing'
        order by q.id
        for update of q
    loop
        perform public.record_unheard_request(v_job);
    end loop;
    return query select j.id from public.give_back_media_jobs(p_poller, p_ids, p_tokens) j;
end;
$$;

comment on function public.release_media_jobs is
    'Give claimed jobs back, as due as they were, no attempt spent. Returns those the poller still held.';
grant execute on function public.release_media_jobs to media_poller;
