-- Queue attachments, any number at once; those that were queued before stay as they are.
--
-- Content that is stored is linked at once; content that is being fetched for another attachment is
-- waited for. Both are only hints here, taken without a lock that could make callers wait for each
-- other: the pollers settle what slips through. Rows go in ordered by their key, so that callers who
-- bring the same attachments wait for each other and never deadlock.

create or replace function public.queue_media_batch(p_batch jsonb)
returns setof uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_new jsonb;
    v_there jsonb;
    v_same record;
    v_linked uuid[] := '{}'::uuid[];
begin
    with wanted as materialized (
        select distinct on (b.message_id, b.whatsapp_media_id)
            gen_random_uuid() as id, b.*, public.normalize_media_hash(b.sha256) as content_hash
        from jsonb_to_recordset(p_batch) b (
            message_id uuid, whatsapp_media_id text, source text, media_type text, mime_type text, file_name text,
            caption text, file_size bigint, sha256 text, priority smallint, source_url text, source_url_until timestamptz
        )
    ),
    added as (
        insert into public.media (
            id, message_id, whatsapp_media_id, media_type, mime_type, file_name, caption, file_size, whatsapp_sha256,
            message_sent_at
        )
        select w.id, w.message_id, w.whatsapp_media_id, w.media_type, public.normalize_mime_type(w.mime_type),
            w.file_name, w.caption, w.file_size, w.content_hash,
            coalesce((select g.sent_at from public.messages g where g.id = w.message_id), now()) -- a probe, never a hash join
        from wanted w
        order by w.message_id, w.whatsapp_media_id
        on conflict on constraint pgmedia_media_message_id_whatsapp_media_id_key do nothing
        returning id
    )
    select
        coalesce(jsonb_agg(to_jsonb(w)) filter (where a.id is not null), '[]'),
        coalesce(jsonb_agg(to_jsonb(w)) filter (where a.id is null), '[]')
    into v_new, v_there
    from wanted w
    left join added a on a.id = w.id;

    if v_there <> '[]' then
        v_new := v_new || public.adopt_media_rows(v_there);
    end if;
    insert into public.media_audit_log (media_id, event)
    select n.id, 'queued'
    from jsonb_to_recordset(v_new) n (id uuid);

    for v_same in
        select k.ids, o as object
        from (
            select n.content_hash, n.media_type, array_agg(n.id) as ids
            from jsonb_to_recordset(v_new) n (id uuid, content_hash text, media_type text)
            where n.content_hash is not null and n.media_type is not null
            group by n.content_hash, n.media_type
        ) k
        cross join lateral public.find_stored_object(k.content_hash, k.media_type) o
        where o.id is not null
    loop
        perform public.link_media_objects(
            v_same.ids, array_fill((v_same.object).id, array[cardinality(v_same.ids)]), 'deduplicated');
        v_linked := v_linked || v_same.ids;
    end loop;
    perform public.enqueue_media(v_new, v_linked);
    return query select n.id from jsonb_to_recordset(v_new) n (id uuid);
end;
$$;

comment on function public.queue_media_batch is
    'Queue attachments: an array of objects with the arguments of queue_media_processing, checked before, and source (the pause scope), source_url and source_url_until. Returns the media ids of those that were not queued before.';
