-- How large a webhook call may be, for the door that has no code of its own to measure it.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings
    add column webhook_max_bytes integer not null default 3145728 check (webhook_max_bytes > 0);
comment on column public.media_settings.webhook_max_bytes is
    'A webhook call through PostgREST that is larger is refused; Meta sends at most 3 MB. `pgmedia webhook` has that limit built in.';

comment on table public.whatsapp_webhook_refusals is
    'How many webhook calls of a day (UTC) were refused, by reason, before anything of them was stored.';
