-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-function, require-concurrent-index-deletion
-- The trigger goes with its function; the other functions that speak of a dropped column go with 0004.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop function if exists public.note_deleted_job() cascade;
drop table public.media_unheard_requests;
drop index public.media_queue_waiting_content_idx;
alter table public.media_processing_queue drop column claimed_at, drop column bytes_received;
comment on column public.media_failure_rules.attempts_most is
    'For retry: the failure is final after so many attempts already; null: after media_settings.max_attempts.';
comment on column public.media_settings.refusals_per_hour is
    'Requests that WhatsApp may refuse to one number in an hour; it blocks numbers that go on. It is also the most jobs of one number in work at once, so that even a token that expires under all of them stays within it.';
