-- What stored messages say of their files: media objects, errors, and types that promise a file. Those
-- inside an edit are the message's own.
--
-- The types of media are those that have a bucket; `voice` is audio. The rank of an error puts those
-- first that tell of a lost file. In plpgsql, which keeps the plan: planning would cost more than running.

create or replace function public.list_webhook_parts(p_messages jsonb)
returns table (
    place bigint,
    message_id uuid,
    source text,
    part text,
    media_type text,
    value jsonb,
    code text,
    rank bigint,
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
    carriers as (
        select m.place, s.id, 'whatsapp:' || coalesce(s.phone_number_id, m.phone_number_id, 'default') as source, c.carrier, c.depth
        from jsonb_to_recordset(p_messages) m (place bigint, id text, phone_number_id text, raw jsonb)
        cross join lateral (
            select g.id, g.phone_number_id
            from public.messages g
            where g.whatsapp_message_id = m.id
            limit 1 -- a probe of the index: a join might read the whole table
        ) s
        cross join lateral unnest(array[m.raw, m.raw -> 'edit', m.raw #> '{edit,message}'])
            with ordinality c (carrier, depth)
        where jsonb_typeof(c.carrier) = 'object'
    )
    select c.place, c.id, c.source, 'object', k.media_type, o.media, null, c.depth,
        case
            when jsonb_typeof(o.media) <> 'object' then 'media_not_an_object'
            when coalesce(jsonb_typeof(o.media -> 'id'), '') not in ('string', 'number')
                or btrim(o.media ->> 'id') = '' then 'media_without_id'
            when length(o.media ->> 'id') > 500 then 'media_id_too_long'
        end
    from carriers c
    join kinds k on c.carrier ? k.key
    cross join lateral jsonb_array_elements(jsonb_path_query_array(c.carrier -> k.key, 'lax $[*]')) o (media)
    union all
    select c.place, c.id, c.source, 'error', null, e.error, x.code,
        row_number() over (partition by c.place order by x.code not in ('131052', '131053'), c.depth, e.nr),
        'whatsapp_' || x.code
    from carriers c
    cross join lateral jsonb_array_elements(jsonb_path_query_array(c.carrier, 'lax $.errors[*]')) with ordinality e (error, nr)
    cross join lateral (select coalesce(substring(e.error ->> 'code' from '^[0-9]{1,10}$'), 'unknown')) x (code)
    where jsonb_typeof(e.error) <> 'null'
    union all
    select c.place, c.id, c.source, 'type', k.media_type, null, null, c.depth, 'media_missing'
    from carriers c
    join kinds k on k.key = c.carrier ->> 'type';
end;
$$;

comment on function public.list_webhook_parts is
    'The media objects, errors and types of media (part: object, error, type) of messages that are in the table, by the message''s place in the call; problem says why an object cannot be used, or what is reported if nothing else explains the part.';
