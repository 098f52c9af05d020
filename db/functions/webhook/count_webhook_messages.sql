-- What became of each message of a call: it was added, it was there or came twice, or it is not in the
-- table although nothing refused it, since a trigger of the bot's dropped it or gave it another id.

create or replace function public.count_webhook_messages(
    p_messages jsonb,
    p_added jsonb,
    p_refused jsonb,
    out added bigint,
    out duplicates bigint,
    out missing bigint
)
language sql
stable
set search_path = ''
as $$
    select
        count(*) filter (where j.is_there and j.is_first),
        count(*) filter (where j.is_there and not j.is_first),
        count(*) filter (where not j.is_there)
    from (
        select
            (select m.id from public.messages m where m.whatsapp_message_id = w.id) is not null as is_there,
            a.id is not null and row_number() over (partition by w.id order by w.place) = 1 as is_first
        from jsonb_to_recordset(p_messages) w (place bigint, id text)
        left join jsonb_array_elements_text(p_added) a (id) on a.id = w.id
        left join jsonb_to_recordset(p_refused) r (place bigint) on r.place = w.place
        where r.place is null
    ) j;
$$;

comment on function public.count_webhook_messages is
    'How many messages of a call (as list_webhook_messages gives them) are new, duplicates and missing, but for those refused; p_added: ids of those that store_webhook_rows added.';
