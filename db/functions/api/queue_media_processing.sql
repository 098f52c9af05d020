-- Queue one attachment of a message; its media id comes back and never changes.
--
-- Idempotent per message and media id. Runs in the caller's transaction, so a message and its media
-- commit together or not at all. What becomes of content that is known already: queue_media_batch.

create or replace function public.queue_media_processing(
    message_id uuid,
    whatsapp_media_id text,
    media_type text default null,
    mime_type text default null,
    file_name text default null,
    caption text default null,
    file_size bigint default null,
    sha256 text default null,
    priority integer default 5
)
returns uuid
language plpgsql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
set plan_cache_mode = force_generic_plan -- what is null here would else be planned for, call by call
as $$
#variable_conflict use_column
declare
    v_id uuid;
    v_source text;
    v_type text := queue_media_processing.media_type;
begin
    perform public.check_media_arguments(whatsapp_media_id, media_type, file_size, sha256, priority);
    select 'whatsapp:' || coalesce(m.phone_number_id, 'default'), coalesce(v_type, (
        select m.message_type::text where m.message_type = any (select unnest(b.media_types) from public.media_buckets b)))
    into v_source, v_type
    from public.messages m
    where m.id = queue_media_processing.message_id
    for key share;
    if not found then
        raise exception 'message % does not exist', coalesce(queue_media_processing.message_id::text, 'null')
            using errcode = 'MD010', hint = 'Insert the row of messages first, in the same transaction if you like.';
    end if;
    v_type := coalesce(v_type, (public.find_media_format(queue_media_processing.mime_type)).media_type);

    loop
        select q.id into v_id
        from public.queue_media_batch(jsonb_build_array(jsonb_build_object(
            'message_id', queue_media_processing.message_id,
            'whatsapp_media_id', queue_media_processing.whatsapp_media_id,
            'source', v_source,
            'media_type', v_type,
            'mime_type', queue_media_processing.mime_type,
            'file_name', queue_media_processing.file_name,
            'caption', queue_media_processing.caption,
            'file_size', queue_media_processing.file_size,
            'sha256', queue_media_processing.sha256,
            'priority', queue_media_processing.priority
        ))) q (id);
        exit when found;
        select m.id into v_id
        from public.media m
        where m.message_id = queue_media_processing.message_id
            and m.whatsapp_media_id = queue_media_processing.whatsapp_media_id;
        exit when found; -- else it was deleted meanwhile: it is new again
    end loop;
    delete from public.media_tombstones t -- who asks for it by name has it again
    where t.message_id = queue_media_processing.message_id
        and t.whatsapp_media_id = queue_media_processing.whatsapp_media_id;
    return v_id;
end;
$$;

comment on function public.queue_media_processing is
    'Queue an attachment for download, check and storage. message_id: messages.id. file_size in bytes. sha256: hex or base64. priority 1 (first) to 10. Returns the media id, the same one for every repeat; a new one if it was deleted. Errors: MD010 unknown message, MD011 media type, MD012 priority, MD013 hash, MD014 media id, MD015 size.';
grant execute on function public.queue_media_processing to media_client, media_admin;
