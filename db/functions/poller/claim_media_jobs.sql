-- Lease up to p_limit due jobs to the calling poller, most urgent first, from every source that may
-- be asked.
--
-- A crashed poller needs no clean-up: its leases pass, and rescue_media_jobs makes the rows due
-- again. Claims of one source take turns on its row, so that its allowance holds; rows that somebody
-- else has locked are skipped. The fencing token handed out here guards every later write.

create or replace function public.claim_media_jobs(p_poller text, p_limit integer)
returns table (
    id uuid,
    fencing_token integer,
    attempt integer,
    whatsapp_media_id text,
    phone_number_id text,
    source_url text,
    waited_seconds double precision
)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
set plan_cache_mode = force_generic_plan -- arrays of few would be planned for anew, call by call
as $$
#variable_conflict use_column
declare
    v_limit integer;
    v_sources text[];
    v_picked uuid[];
begin
    perform public.check_poller_project(p_poller);
    perform public.rescue_media_jobs();
    v_limit := public.limit_media_claim(p_poller, p_limit);
    if v_limit <= 0 then
        return;
    end if;
    v_sources := public.lock_media_sources();
    if v_sources = '{}' then
        return;
    end if;
    perform public.pause_spent_sources(v_sources);
    v_picked := public.pick_media_jobs(v_sources, v_limit);
    if v_picked = '{}' then
        return;
    end if;

    return query
    with claimed as (
        update public.media_processing_queue q
        set
            status = 'processing',
            attempts = least(q.attempts + 1, q.max_attempts),
            fencing_token = q.fencing_token + 1,
            claimed_by = p_poller,
            claimed_at = clock_timestamp(),
            source_answered = false,
            bytes_received = false,
            source_url = case when q.source_url_until > now() then q.source_url end,
            lease_until = clock_timestamp() + s.lease
        from public.media_settings s
        where q.id = any (v_picked)
        returning q.*
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt)
        select c.id, 'claimed', p_poller, c.attempts
        from claimed c
    )
    select c.id, c.fencing_token, c.attempts::integer, c.whatsapp_media_id,
        nullif(substr(c.source, length('whatsapp:') + 1), 'default'),
        c.source_url,
        extract(epoch from c.claimed_at - c.due_at)::double precision
    from claimed c
    order by c.priority, c.due_at, c.id;
end;
$$;

comment on function public.claim_media_jobs is
    'Lease up to p_limit due jobs to a poller for media_settings.lease. A claim spends an attempt; (id, poller, fencing token) must come with every later call about the job. source_url: where the webhook said the file is, while that lives and until an attempt has failed with it. waited_seconds: since when it was due. Error: MD061 the poller works with another project than that of the files.';
grant execute on function public.claim_media_jobs to media_poller;
