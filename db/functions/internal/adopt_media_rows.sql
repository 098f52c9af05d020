-- Attachments of a batch whose media row is there, made by a bot before or without pgmedia, and never
-- queued: returned with the id they have.
--
-- The rows are locked first and looked at in a statement of its own, which so sees what a call that
-- was waited for has queued. Subqueries instead of joins make probes of an index: a batch is small, and
-- the planner, which cannot know that, would read whole tables.

create or replace function public.adopt_media_rows(p_batch jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform
    from public.media m
    where m.id = any (array(
            select t.id
            from jsonb_to_recordset(p_batch) b (message_id uuid, whatsapp_media_id text)
            cross join lateral (
                select h.id
                from public.media h
                where h.message_id = b.message_id and h.whatsapp_media_id = b.whatsapp_media_id
                limit 1
            ) t))
        and not m.processed
        and m.failure_code is null
    order by m.id
    for no key update of m;
    if not found then
        return jsonb '[]';
    end if;
    return (
        select coalesce(jsonb_agg(b.attachment || jsonb_build_object('id', m.id)), '[]')
        from jsonb_array_elements(p_batch) b (attachment)
        cross join lateral (
            select h.*
            from public.media h
            where h.message_id = (b.attachment ->> 'message_id')::uuid
                and h.whatsapp_media_id = b.attachment ->> 'whatsapp_media_id'
            limit 1
        ) m
        where not m.processed
            and m.failure_code is null
            and (select q.id from public.media_processing_queue q where q.id = m.id) is null
    );
end;
$$;

comment on function public.adopt_media_rows is
    'Of a batch, the attachments whose media row exists and was never queued, with its id; the rows are locked.';
