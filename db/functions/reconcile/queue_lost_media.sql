-- Attachments whose file was lost are fetched again, after everything else: what WhatsApp refuses of them
-- must not hold up what has just come in.
--
-- WhatsApp is not asked for what it keeps no longer: such an attachment waits for a younger one of the
-- same content, if there is one, or fails at once.

create or replace function public.queue_lost_media(p_ids uuid[], p_content_hash text, p_loss text)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_kept interval := (select s.whatsapp_keeps from public.media_settings s);
    v_is_old boolean;
    v_expired record;
    v_count integer := 0;
begin
    foreach v_is_old in array array[false, true] loop -- so that the old ones find the others
        perform public.enqueue_media((
            select jsonb_agg(jsonb_build_object(
                'id', m.id, 'message_id', m.message_id, 'whatsapp_media_id', m.whatsapp_media_id,
                'source', 'whatsapp:' || coalesce(g.phone_number_id, 'default'), 'media_type', m.media_type,
                'content_hash', case
                    when not v_is_old or public.find_media_leader(p_content_hash, m.media_type) is not null
                        then p_content_hash
                end,
                'priority', 10))
            from public.media m
            left join public.messages g on g.id = m.message_id
            where m.id = any (p_ids)
                and v_is_old = coalesce(greatest(m.message_sent_at, m.created_at) < now() - v_kept, false)
        ), '{}');
    end loop;
    update public.media_processing_queue q -- no token is handed out twice: a late call must not fit
    set fencing_token = (
        select count(*) from public.media_audit_log a where a.media_id = q.id and a.event = 'claimed')
    where q.id = any (p_ids);
    for v_expired in
        select q.id, greatest(m.message_sent_at, m.created_at) as came_at
        from public.media_processing_queue q
        join public.media m on m.id = q.id
        where q.id = any (p_ids) and q.content_hash is null
        order by q.id
    loop
        v_count := v_count + 1;
        perform public.bury_media_job(v_expired.id, 'media_expired', format(
            '%s, and WhatsApp keeps media for %s only: this came on %s',
            p_loss, v_kept, to_char(v_expired.came_at at time zone 'utc', 'YYYY-MM-DD')));
    end loop;
    return v_count;
end;
$$;

comment on function public.queue_lost_media is
    'Queue attachments of one content again, with the lowest priority; p_loss says what happened to their file. Those that came longer ago than media_settings.whatsapp_keeps fail as media_expired, unless a younger one of the same content is fetched. Returns how many failed.';
