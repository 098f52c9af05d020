-- squawk-ignore-file ban-drop-table, ban-drop-constraint, require-concurrent-index-deletion
set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop index public.whatsapp_webhook_events_errors_idx;
alter table public.whatsapp_webhook_refusals drop constraint whatsapp_webhook_refusals_reason_check;
comment on table public.whatsapp_webhook_refusals is
    'How many webhook calls of a day (UTC) were refused, by reason, before anything of them was stored.';
drop table public.media_tombstones;
