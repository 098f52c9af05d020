-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings drop column webhook_max_bytes;
comment on table public.whatsapp_webhook_refusals is
    'How many signed webhook calls of a day (UTC) were refused before anything of them was stored.';
