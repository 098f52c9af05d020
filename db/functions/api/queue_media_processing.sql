-- Queue one attachment of a message; its media id comes back and never changes.
--
-- Idempotent per message and media id. Runs in the caller's transaction, so a message and its media
-- commit together or not at all. Content that is stored already is linked at once; content that is
-- being fetched for another attachment is waited for. Both are only hints here, taken without a lock
-- that could make callers wait for each other: the pollers settle what slips through.

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
as $$
#variable_conflict use_column
declare
    v_id uuid;
    v_source text;
    v_type text := queue_media_processing.media_type;
    v_hash text := public.normalize_media_hash(queue_media_processing.sha256);
    v_object public.media_objects;
    v_leader uuid;
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
    v_type := coalesce(v_type, (select f.media_type from public.find_media_format(queue_media_processing.mime_type) f));

    loop
        insert into public.media (
            id, message_id, whatsapp_media_id, media_type, mime_type, file_name, caption, file_size, whatsapp_sha256
        )
        values (
            gen_random_uuid(), queue_media_processing.message_id, queue_media_processing.whatsapp_media_id, v_type,
            public.normalize_mime_type(queue_media_processing.mime_type), queue_media_processing.file_name,
            queue_media_processing.caption, queue_media_processing.file_size, v_hash
        )
        on conflict (message_id, whatsapp_media_id) do nothing
        returning id into v_id;
        exit when found;
        select m.id into v_id
        from public.media m
        where m.message_id = queue_media_processing.message_id
            and m.whatsapp_media_id = queue_media_processing.whatsapp_media_id;
        if found then
            return v_id;
        end if; -- deleted meanwhile: it is new again
    end loop;
    perform public.log_media_event(v_id, 'queued');

    if v_hash is not null and v_type is not null then
        v_object := public.find_stored_object(v_hash, v_type);
        if v_object.id is not null then
            perform public.link_media_object(array[v_id], v_object, 'deduplicated');
            return v_id;
        end if;
        v_leader := public.find_media_leader(v_hash, v_type);
    end if;

    insert into public.media_processing_queue (
        id, message_id, whatsapp_media_id, source, status, priority, due_at, max_attempts, content_hash, waiting_for
    )
    select
        v_id, queue_media_processing.message_id, queue_media_processing.whatsapp_media_id, v_source,
        case when v_leader is null then 'pending' else 'waiting' end,
        queue_media_processing.priority,
        case when v_leader is null then now() else now() + s.waiting_recheck end,
        s.max_attempts, v_hash, v_leader
    from public.media_settings s;
    if v_leader is null then
        perform public.wake_media_pollers();
    else
        perform public.log_media_event(v_id, 'joined', jsonb_build_object('waiting_for', v_leader));
    end if;
    return v_id;
end;
$$;

comment on function public.queue_media_processing is
    'Queue an attachment for download, check and storage. message_id: messages.id. file_size in bytes. sha256: hex or base64. priority 1 (first) to 10. Returns the media id, the same one for every repeat. Errors: MD010 unknown message, MD011 media type, MD012 priority, MD013 hash, MD014 media id, MD015 size.';
grant execute on function public.queue_media_processing to media_client, media_admin;
