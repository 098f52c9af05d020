-- Queue many attachments at once: what queue_media_processing does for one, for all or for none of them.
--
-- Messages are locked in the order of their ids, and media go in ordered by their key, so that callers
-- who bring the same wait for each other and never deadlock.

create or replace function public.queue_media_attachments(attachments jsonb)
returns uuid[]
language plpgsql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
#variable_conflict use_column
declare
    v_types text[] := array(select unnest(b.media_types) from public.media_buckets b);
    v_batch jsonb;
    v_missing record;
    v_ids uuid[];
begin
    perform public.check_media_attachments(queue_media_attachments.attachments);
    perform
    from public.messages m
    where m.id = any (array(
        select (e ->> 'message_id')::uuid from jsonb_array_elements(queue_media_attachments.attachments) e))
    order by m.id
    for key share;

    select coalesce(jsonb_agg(
        jsonb_build_object('priority', 5) || e.attachment || jsonb_build_object(
            'place', e.place,
            'source', 'whatsapp:' || coalesce(m.phone_number_id, 'default'),
            'found', m.id is not null,
            'media_type', coalesce(
                e.attachment ->> 'media_type',
                case when m.message_type::text = any (v_types) then m.message_type::text end,
                (public.find_media_format(e.attachment ->> 'mime_type')).media_type))
        order by e.place), '[]')
    into v_batch
    from jsonb_array_elements(queue_media_attachments.attachments) with ordinality e (attachment, place)
    left join lateral (
        select g.* from public.messages g where g.id = (e.attachment ->> 'message_id')::uuid limit 1
    ) m on true;

    select b.* into v_missing
    from jsonb_to_recordset(v_batch) b (place integer, found boolean, message_id text)
    where not b.found
    order by b.place
    limit 1;
    if found then
        raise exception 'attachment % of %: message % does not exist',
            v_missing.place, jsonb_array_length(v_batch), coalesce(v_missing.message_id, 'null')
            using errcode = 'MD010', hint = 'Insert the row of messages first, in the same transaction if you like.';
    end if;

    loop
        perform public.queue_media_batch(v_batch);
        v_ids := array(
            select (
                select m.id
                from public.media m
                where m.message_id = b.message_id and m.whatsapp_media_id = b.whatsapp_media_id
                limit 1)
            from jsonb_to_recordset(v_batch) b (place integer, message_id uuid, whatsapp_media_id text)
            order by b.place);
        exit when array_position(v_ids, null) is null; -- else one was deleted meanwhile: it is new again
    end loop;
    delete from public.media_tombstones t -- who asks for them by name has them again
    where (t.message_id, t.whatsapp_media_id) in (
        select b.message_id, b.whatsapp_media_id
        from jsonb_to_recordset(v_batch) b (message_id uuid, whatsapp_media_id text));
    return v_ids;
end;
$$;

comment on function public.queue_media_attachments is
    'Queue many attachments in one call, all or none. attachments: an array of objects with the arguments of queue_media_processing as keys. Returns their media ids in the same order. Errors, naming the element from 1: MD010 unknown message, MD011 media type, MD012 priority, MD013 hash, MD014 media id, MD015 size, MD029 no array, no object or an unknown key; 22P02 and 22003 for a value of another type.';
grant execute on function public.queue_media_attachments to media_client, media_admin;
