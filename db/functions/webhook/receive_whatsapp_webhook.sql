-- Take one webhook call as Meta sent it: keep it, store its messages, queue their media.
--
-- One transaction: a caller that answers 200 only after the commit loses nothing. Meta sends a call
-- again whenever it is in doubt; a repeat, in whole or in part, changes nothing. Where a table or a row
-- is locked, the call gives up after 3 seconds: better that Meta comes again than that its calls pile up
-- at the lock until every connection waits there.

create or replace function public.receive_whatsapp_webhook(payload json)
returns json
language plpgsql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
set lock_timeout = '3s'
as $$
declare
    v_hash text;
    v_event_id bigint;
begin
    if payload is null then
        raise exception 'the payload is null'
            using errcode = 'MD050', hint = 'Pass the body of the webhook call, as it came, as json.';
    end if;
    v_hash := encode(sha256(convert_to(payload::text, 'UTF8')), 'hex');
    loop
        insert into public.whatsapp_webhook_events (payload_hash, payload)
        values (v_hash, payload)
        on conflict (payload_hash) do nothing
        returning id into v_event_id;
        exit when found;
        select e.id into v_event_id
        from public.whatsapp_webhook_events e
        where e.payload_hash = v_hash
        for key share; -- prune_whatsapp_webhooks leaves it alone while it is worked on
        exit when found; -- else it was pruned meanwhile: it is new again
    end loop;
    return public.process_webhook_event(v_event_id);
end;
$$;

comment on function public.receive_whatsapp_webhook is
    'Store a webhook call of the WhatsApp Business Cloud API: its messages, and their media queued. Returns {event_id, messages (seen), new, duplicates, media_queued, media_failed (lost by WhatsApp), media_deleted (by somebody, and not queued again), ignored {field: count}, errors {reason: count}}. Never raises for what a call contains; errors: MD050 null, 55P03 when a lock is not to be had within 3 seconds, and the server''s other faults, on which WhatsApp should send the call again.';
grant execute on function public.receive_whatsapp_webhook to media_client, media_admin;
