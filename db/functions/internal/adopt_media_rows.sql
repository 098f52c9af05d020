-- Attachments of a batch whose media row is there, made by a bot before or without pgmedia, and never
-- queued: returned with the id they have.
--
-- The rows are locked first and looked at in a statement of its own, which so sees what a call that
-- was waited for has queued.

create or replace function public.adopt_media_rows(p_batch jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform
    from jsonb_to_recordset(p_batch) b (message_id uuid, whatsapp_media_id text)
    join public.media m on m.message_id = b.message_id and m.whatsapp_media_id = b.whatsapp_media_id
    where not m.processed and m.failure_code is null
    order by m.id
    for no key update of m;
    if not found then
        return jsonb '[]';
    end if;
    return (
        select coalesce(jsonb_agg(b.attachment || jsonb_build_object('id', m.id)), '[]')
        from jsonb_array_elements(p_batch) b (attachment)
        join public.media m on m.message_id = (b.attachment ->> 'message_id')::uuid
            and m.whatsapp_media_id = b.attachment ->> 'whatsapp_media_id'
        where not m.processed
            and m.failure_code is null
            and not exists (select from public.media_processing_queue q where q.id = m.id)
    );
end;
$$;

comment on function public.adopt_media_rows is
    'Of a batch, the attachments whose media row exists and was never queued, with its id; the rows are locked.';
