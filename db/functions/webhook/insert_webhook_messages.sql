-- Add the messages that are not there yet; fill in what history announced as a placeholder,
-- and what a bot that stored them first left null.
--
-- Only pgmedia's own columns are written: the table may be a bot's. Rows go in, and are locked, in the
-- order of their ids, so that two calls with the same messages wait for each other and never deadlock.

create or replace function public.insert_webhook_messages(p_messages jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_added jsonb;
    v_wanted jsonb;
    v_announced uuid[];
begin
    select jsonb_agg(to_jsonb(w) order by w.id) into v_wanted
    from (
        select distinct on (m.id) m.*
        from jsonb_to_recordset(p_messages) m (
            place bigint, id text, phone_number_id text, sender text, message_type text, text_body text,
            sent_at timestamptz, raw jsonb
        )
        order by m.id, (m.message_type is not distinct from 'media_placeholder'), m.place
    ) w;

    with added as (
        insert into public.messages (
            id, whatsapp_message_id, phone_number_id, sender, message_type, text_body, raw_payload, sent_at, created_at
        )
        select gen_random_uuid(), w.id, w.phone_number_id, w.sender, w.message_type, w.text_body, w.raw, w.sent_at, now()
        from jsonb_to_recordset(v_wanted) w (
            id text, phone_number_id text, sender text, message_type text, text_body text, sent_at timestamptz, raw jsonb
        )
        order by w.id
        on conflict (whatsapp_message_id) do nothing
        returning whatsapp_message_id
    )
    select coalesce(jsonb_agg(a.whatsapp_message_id), '[]') into v_added
    from added a;

    v_announced := array(
        select m.id
        from jsonb_to_recordset(v_wanted) w (id text, message_type text)
        cross join lateral (select * from public.messages g where g.whatsapp_message_id = w.id limit 1) m
        where m.message_type = 'media_placeholder' and w.message_type <> 'media_placeholder'
    );
    with announced as materialized (
        select m.id, w.message_type, w.text_body, w.raw
        from jsonb_to_recordset(v_wanted) w (id text, message_type text, text_body text, raw jsonb)
        join public.messages m on m.whatsapp_message_id = w.id
        where m.id = any (v_announced) and m.message_type = 'media_placeholder'
        order by w.id
        for no key update of m
    )
    update public.messages m
    set message_type = a.message_type, text_body = a.text_body, raw_payload = a.raw
    from announced a
    where m.id = any (v_announced) and m.id = a.id;
    perform public.fill_webhook_messages(v_wanted);
    return v_added;
end;
$$;

comment on function public.insert_webhook_messages is
    'Insert messages (as list_webhook_messages gives them, an array) that are not in the table yet; returns the ids of those added, as an array.';
