-- One word for where an attachment is: its queue status while it has work to do, its end after.

create or replace function public.media_state(p_processed boolean, p_queue_status text, p_failure_code text)
returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
    select case
        when p_processed then 'stored'
        when p_queue_status is not null then p_queue_status
        when p_failure_code is not null then 'failed'
        else 'unknown'
    end;
$$;

comment on function public.media_state is
    'Where an attachment is: stored, pending, processing, waiting, failed, cancelled, or unknown for a row pgmedia never queued.';
