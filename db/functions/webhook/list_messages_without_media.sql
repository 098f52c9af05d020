-- The next messages, in the order of messages.id, and which of them say that there is media of which
-- there is no row.
--
-- A key of the payload is what is looked for; whether it is media that could be fetched, list_webhook_media
-- says. Read by the primary key and no other, so that a page costs the same wherever it is.

create or replace function public.list_messages_without_media(p_since timestamptz, p_after uuid, p_limit integer)
returns table (id uuid, came_at timestamptz, message jsonb)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_keys text[] := array(
        select t from public.media_buckets b cross join unnest(b.media_types) t
        union
        select unnest(array['voice', 'errors', 'edit']));
begin
    return query
    select m.id, coalesce(m.sent_at, m.created_at)::timestamptz,
        case when r.raw ?| v_keys
            and jsonb_typeof(r.raw) = 'object'
            and (p_since is null or coalesce(m.sent_at, m.created_at) >= p_since)
            and (select x.id from public.media x where x.message_id = m.id limit 1) is null
        then jsonb_build_object(
            'place', row_number() over (order by m.id), 'id', m.whatsapp_message_id,
            'phone_number_id', coalesce(m.phone_number_id, r.phone_number_id), 'raw', r.raw)
        end
    from (
        select *
        from public.messages g
        where g.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
        order by g.id
        limit p_limit
    ) m
    left join lateral public.find_stored_message(
        public.parse_webhook_payload(m.raw_payload::json), m.whatsapp_message_id) r on true;
end;
$$;

comment on function public.list_messages_without_media is
    'Up to p_limit messages after an id; for those since p_since with a payload that speaks of media and without a media row, message is set, as list_webhook_media takes it.';
