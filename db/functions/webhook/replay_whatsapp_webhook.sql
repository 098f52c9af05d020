-- Run a stored webhook call again, for instance after the table messages was put right.

create or replace function public.replay_whatsapp_webhook(event_id bigint)
returns json
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
begin
    perform from public.whatsapp_webhook_events e where e.id = replay_whatsapp_webhook.event_id;
    if not found then
        raise exception 'webhook event % does not exist', coalesce(replay_whatsapp_webhook.event_id::text, 'null')
            using errcode = 'MD051', hint = 'Events older than media_settings.webhook_events_kept are forgotten.';
    end if;
    return public.process_webhook_event(replay_whatsapp_webhook.event_id);
end;
$$;

comment on function public.replay_whatsapp_webhook is
    'Run a stored webhook call (whatsapp_webhook_events.id) again; what is there already stays as it is. Returns the summary as receive_whatsapp_webhook does. Error: MD051 unknown event.';
grant execute on function public.replay_whatsapp_webhook to media_admin;
