-- The media objects of stored messages, those inside an edit included, and media that came as an error.
--
-- The types are those that have a bucket; `voice` is audio. A media message with errors and without a
-- media object is one that WhatsApp lost (131052 and its like): its id is made of the error's code, so
-- that a repeat finds it again. In plpgsql, which keeps the plan: planning would cost more than running.

create or replace function public.list_webhook_media(p_messages jsonb)
returns table (
    message_id uuid,
    source text,
    media_type text,
    media jsonb,
    whatsapp_media_id text,
    failure_code text,
    failure_text text,
    problem text
)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
begin
    return query
    with kinds (key, media_type) as (
        select t, t from public.media_buckets b cross join unnest(b.media_types) t
        union
        values ('voice', 'audio')
    ),
    stored as (
        select s.id, 'whatsapp:' || coalesce(s.phone_number_id, 'default') as source, m.raw, k.media_type
        from jsonb_to_recordset(p_messages) m (id text, message_type text, raw jsonb)
        join public.messages s on s.whatsapp_message_id = m.id
        left join kinds k on k.key = m.message_type
    ),
    found as (
        select s.id, s.source, k.media_type, o.media
        from stored s
        cross join lateral unnest(array[s.raw, s.raw -> 'edit', s.raw #> '{edit,message}']) c (carrier)
        join kinds k on jsonb_typeof(c.carrier) = 'object' and c.carrier ? k.key
        cross join lateral jsonb_path_query(c.carrier -> k.key, 'lax $[*]') o (media)
    )
    select f.id, f.source, f.media_type, f.media, f.media ->> 'id', null, null,
        case
            when jsonb_typeof(f.media) <> 'object' then 'media_not_an_object'
            when coalesce(jsonb_typeof(f.media -> 'id'), '') not in ('string', 'number')
                or btrim(f.media ->> 'id') = '' then 'media_without_id'
            when length(f.media ->> 'id') > 500 then 'media_id_too_long'
        end
    from found f
    union all
    select s.id, s.source, s.media_type, null, 'error:' || e.code, 'whatsapp_' || e.code,
        left(concat_ws(': ', e.error ->> 'title', coalesce(e.error #>> '{error_data,details}', e.error ->> 'message')), 2000),
        null
    from stored s
    cross join lateral (
        select x.error, coalesce(substring(x.error ->> 'code' from '^[0-9]{1,10}$'), 'unknown') as code
        from jsonb_path_query_first(s.raw, 'lax $.errors[*]') x (error)
        where x.error is not null
    ) e
    where (s.media_type is not null or e.code in ('131052', '131053'))
        and not exists (select from kinds k where s.raw #> array[k.key, 'id'] is not null);
end;
$$;

comment on function public.list_webhook_media is
    'The media of messages (as list_webhook_messages gives them, an array) that are in the table messages: objects, or failures with WhatsApp''s code and text; problem says why one cannot be used.';
