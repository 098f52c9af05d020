-- An attempt ended without a word of its poller, which was killed, stopped or told to drop it: nobody
-- knows whether WhatsApp refused its last request, so it counts as if. Not so once the file is here.

create or replace function public.record_unheard_request(p_job public.media_processing_queue)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.media_unheard_requests (media_id, fencing_token, source, request, asked_at)
    select p_job.id, p_job.fencing_token, p_job.source,
        case when p_job.source_answered then 'download' when p_job.source_url is not null then 'webhook url' else 'metadata' end,
        coalesce(p_job.claimed_at, now())
    where p_job.status = 'processing' and not p_job.bytes_received
    on conflict do nothing;
$$;

comment on function public.record_unheard_request is
    'Remember that the last request of an attempt may have been refused by WhatsApp. p_job: the row as it was while in work.';
