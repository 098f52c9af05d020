-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-function
-- The domain goes if it is ours; the functions that speak of what is dropped go with 0004.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop function if exists public.whatsapp_webhook(json), public.whatsapp_webhook(text, text, text);

do $$
begin
    if obj_description(to_regtype('public."*/*"'), 'pg_type') like 'pgmedia:%' then
        drop domain public."*/*";
    end if;
end $$;

alter table public.media_processing_queue drop column source_url, drop column source_url_until;
alter table public.media_settings drop column webhook_events_kept;
drop table public.media_secrets, public.whatsapp_webhook_refusals, public.whatsapp_webhook_events;
