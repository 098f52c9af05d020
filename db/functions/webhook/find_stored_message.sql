-- The message that a row of messages is about, in whatever its raw_payload has: the message object, or
-- what it came in, which may have other messages too: a change's value, a change, an entry, a whole call.
-- A client that encodes JSON twice has put any of these into a string.
--
-- Of an object that is none of the others, it is believed that it is the message.

create or replace function public.find_stored_message(p_payload jsonb, p_whatsapp_message_id text)
returns table (phone_number_id text, raw jsonb)
language plpgsql
immutable
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_payload jsonb := p_payload;
    v_call jsonb;
begin
    if jsonb_typeof(v_payload) = 'string' then
        begin
            v_payload := public.parse_webhook_payload((v_payload #>> '{}')::json);
        exception when data_exception or program_limit_exceeded then
            return;
        end;
    end if;
    -- list_webhook_messages takes an object where a call has a list
    v_call := case
        when jsonb_typeof(v_payload) is distinct from 'object' then null
        when v_payload ? 'entry' then v_payload
        when v_payload ? 'changes' then jsonb_build_object('entry', v_payload)
        when v_payload ? 'value' then jsonb_build_object('entry', jsonb_build_object('changes', v_payload))
        when v_payload ?| array['messages', 'message_echoes', 'history'] then
            jsonb_build_object('entry', jsonb_build_object('changes', jsonb_build_object('value', v_payload)))
    end;
    if v_call is null then
        return query select null::text, v_payload;
    else
        return query
        select m.phone_number_id, m.raw
        from public.list_webhook_messages(v_call) m
        where m.problem is null and m.id = p_whatsapp_message_id
        limit 1;
    end if;
end;
$$;

comment on function public.find_stored_message is
    'The message in the payload of a row of messages, whether that is the message object, a change''s value, a change, an entry or a whole webhook call, as JSON or as a string of JSON; with the phone number id, where the payload tells. No row when none in it has the id.';
