-- Complete the messages that a bot stored first, such as without the phone number: what is null is filled
-- in, and what is there stays. So their media go to the right source, and have the message's time.
--
-- Found by probes of an index, where a join might read the whole table; then locked, in the order of their
-- ids. raw_payload is written by itself: in a bot's table it may be json, which does not mix with jsonb.

create or replace function public.fill_webhook_messages(p_messages jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_ids uuid[] := array(
        select m.id
        from jsonb_to_recordset(p_messages) w (
            id text, phone_number_id text, sender text, message_type text, text_body text, sent_at timestamptz
        )
        cross join lateral (
            select * from public.messages g where g.whatsapp_message_id = w.id limit 1
        ) m
        where m.raw_payload is null
            or (m.phone_number_id is null and w.phone_number_id is not null)
            or (m.sender is null and w.sender is not null)
            or (m.message_type is null and w.message_type is not null)
            or (m.text_body is null and w.text_body is not null)
            or (m.sent_at is null and w.sent_at is not null)
    );
    v_gaps jsonb;
begin
    with gaps as materialized (
        select m.id as message_id, w.*
        from jsonb_to_recordset(p_messages) w (
            id text, phone_number_id text, sender text, message_type text, text_body text, sent_at timestamptz, raw jsonb
        )
        join public.messages m on m.whatsapp_message_id = w.id
        where m.id = any (v_ids)
        order by w.id
        for no key update of m
    )
    select jsonb_agg(to_jsonb(g)) into v_gaps
    from gaps g;
    if v_gaps is null then
        return;
    end if;

    update public.messages m
    set raw_payload = g.raw
    from jsonb_to_recordset(v_gaps) g (message_id uuid, raw jsonb)
    where m.id = any (v_ids) and m.id = g.message_id and m.raw_payload is null;

    update public.messages m
    set phone_number_id = coalesce(m.phone_number_id, g.phone_number_id),
        sender = coalesce(m.sender, g.sender),
        message_type = coalesce(m.message_type, g.message_type),
        text_body = coalesce(m.text_body, g.text_body),
        sent_at = coalesce(m.sent_at, g.sent_at)
    from jsonb_to_recordset(v_gaps) g (
        message_id uuid, phone_number_id text, sender text, message_type text, text_body text, sent_at timestamptz
    )
    where m.id = any (v_ids) and m.id = g.message_id;
end;
$$;

comment on function public.fill_webhook_messages is
    'Fill the null columns of messages that are in the table (p_messages as list_webhook_messages gives them, one for each id); overwrites nothing.';
