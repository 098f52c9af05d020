-- Put right what crashed pollers left: expired leases, and waits that are over.
--
-- Bounded, and rows another transaction works on are skipped, so any number of callers may run it
-- at once. An expired lease has already spent its attempt; when it was the last, the job dies here.

create or replace function public.rescue_media_jobs(p_limit integer default 100)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_job public.media_processing_queue;
    v_count integer := 0;
begin
    for v_job in
        select q.*
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.status = 'processing' and q.lease_until < clock_timestamp()
        limit p_limit
        for key share of m skip locked
        for update of q skip locked
    loop
        v_count := v_count + 1;
        perform public.record_unheard_request(v_job);
        if v_job.attempts >= v_job.max_attempts then
            perform public.bury_media_job(v_job.id, 'lease_expired', format(
                'attempt %s of %s ended without a word from poller %s',
                v_job.attempts, v_job.max_attempts, v_job.claimed_by));
        else
            update public.media_processing_queue q
            set status = 'pending', claimed_by = null, lease_until = null, -- in its old place in the line
                last_error_code = 'lease_expired'
            where q.id = v_job.id;
            perform public.log_media_event(v_job.id, 'lease expired', null, v_job.claimed_by, v_job.attempts);
        end if;
    end loop;

    for v_job in
        select q.*
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.status = 'waiting' and q.due_at <= now()
        order by q.due_at
        limit p_limit
        for key share of m skip locked
        for update of q skip locked
    loop
        v_count := v_count + public.recheck_waiting_media(v_job)::integer;
    end loop;
    return v_count;
end;
$$;

comment on function public.rescue_media_jobs is
    'Make jobs with an expired lease due again (or dead letters, when their attempts are spent) and end waits that are over. Returns how many.';
