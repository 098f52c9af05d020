-- Every message of every entry and change: received, echoed from the business's own phone, or history.
--
-- jsonpath in lax mode takes an object where a list is expected, and finds nothing where the shape is
-- another, so nothing here raises; as an array, because jsonb_path_query() takes quadratic time for its
-- rows. `problem` is set when a message cannot be used at all. In plpgsql, which keeps the plan:
-- planning would cost more than running.

create or replace function public.list_webhook_messages(p_payload jsonb)
returns table (
    place bigint,
    id text,
    phone_number_id text,
    sender text,
    message_type text,
    text_body text,
    sent_at timestamptz,
    raw jsonb,
    problem text
)
language plpgsql
immutable
set search_path = ''
as $$
#variable_conflict use_column
begin
    return query
    with changes as (
        select c.value,
            case when length(c.value #>> '{metadata,phone_number_id}') <= 100 -- it is part of an index key
                then c.value #>> '{metadata,phone_number_id}' end as phone_number_id,
            case when jsonb_array_length(jsonb_path_query_array(c.value, 'lax $.contacts[*]')) = 1 then
                jsonb_path_query_first(c.value, 'lax $.contacts[0]') end as only_contact
        from jsonb_array_elements(jsonb_path_query_array(p_payload, 'lax $.entry[*].changes[*].value')) c (value)
    ),
    found as (
        select c.phone_number_id, coalesce(
            nullif(c.only_contact ->> 'wa_id', ''), nullif(c.only_contact ->> 'user_id', '')) as partner, m.raw
        from changes c
        cross join lateral (
            select * from jsonb_array_elements(jsonb_path_query_array(c.value, 'lax $.messages[*]'))
            union all
            select * from jsonb_array_elements(jsonb_path_query_array(c.value, 'lax $.message_echoes[*]'))
        ) m (raw)
        union all
        select c.phone_number_id, t.thread ->> 'id', m.raw
        from changes c
        cross join lateral jsonb_array_elements(jsonb_path_query_array(c.value, 'lax $.history[*].threads[*]')) t (thread)
        cross join lateral jsonb_array_elements(jsonb_path_query_array(t.thread, 'lax $.messages[*]')) m (raw)
    )
    select
        row_number() over (),
        f.raw ->> 'id',
        f.phone_number_id,
        coalesce(nullif(f.raw ->> 'from', ''), nullif(f.raw ->> 'from_user_id', ''), nullif(f.partner, '')),
        f.raw ->> 'type',
        coalesce(
            f.raw #>> '{text,body}', f.raw #>> '{edit,message,text,body}', f.raw #>> '{button,text}',
            f.raw #>> '{interactive,button_reply,title}', f.raw #>> '{interactive,list_reply,title}'),
        case when f.raw ->> 'timestamp' ~ '^[0-9]{1,11}$' then
            to_timestamp((f.raw ->> 'timestamp')::double precision) end,
        f.raw,
        case
            when jsonb_typeof(f.raw) <> 'object' then 'message_not_an_object'
            when coalesce(jsonb_typeof(f.raw -> 'id'), '') not in ('string', 'number')
                or btrim(f.raw ->> 'id') = '' then 'message_without_id'
            when length(f.raw ->> 'id') > 500 then 'message_id_too_long'
        end
    from found f;
end;
$$;

comment on function public.list_webhook_messages is
    'The messages of a webhook call in their order, with what the columns of messages hold; problem says why one cannot be used.';
