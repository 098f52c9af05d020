-- Queue what messages speak of and no media row knows: from before pgmedia, or from while it was away.
--
-- Bounded by the messages it looks at, and may be called again at any time, from the start or from where the
-- last call came: what is there already stays as it is, and what somebody deleted stays deleted. What came
-- longer ago than WhatsApp keeps media is not asked for; unless its content is stored, it fails at once.

create or replace function public.queue_missing_media(
    since timestamptz default null,
    at_most integer default 1000,
    after uuid default null
)
returns table (
    queued bigint,
    failed bigint,
    expired bigint,
    deleted bigint,
    unusable bigint,
    looked_at integer,
    messages bigint,
    reached uuid,
    is_finished boolean
)
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
declare
    v_young jsonb;
    v_old jsonb;
    v_unasked uuid[];
    v_stored record;
    v_failed record;
begin
    if at_most is null or at_most not between 1 and 100000 then
        raise exception 'at_most is %, not 1 to 100000', coalesce(at_most::text, 'null')
            using errcode = 'MD055', hint = 'So many messages are looked at in one call; call again from where it came to.';
    end if;
    select count(*)::integer, (array_agg(m.id order by m.id desc))[1],
        coalesce(jsonb_agg(m.message) filter (where m.message is not null and m.came_at >= now() - s.whatsapp_keeps), '[]'),
        coalesce(jsonb_agg(m.message) filter (where m.message is not null and m.came_at < now() - s.whatsapp_keeps), '[]')
    into looked_at, reached, v_young, v_old
    from public.list_messages_without_media(since, after, at_most) m
    cross join public.media_settings s;
    is_finished := looked_at < at_most;
    messages := (select greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class c where c.oid = 'public.messages'::regclass);
    if messages = 0 and after is null then -- never analyzed: once, they are counted
        messages := (select count(*) from public.messages);
    end if;
    reached := coalesce(reached, after);

    v_unasked := array(
        select w.message_id
        from public.list_webhook_media(v_old) w
        cross join lateral (select public.normalize_media_hash(w.media ->> 'sha256') as hash) h
        group by w.message_id
        having bool_or(h.hash is not null and (public.find_stored_object(h.hash, w.media_type)).id is not null)
            or bool_and(coalesce(w.problem, w.failure_code) is not null)); -- nothing that WhatsApp could be asked for
    select v_young || coalesce(jsonb_agg(o.message) filter (where o.is_unasked), '[]'),
        coalesce(jsonb_agg(o.message) filter (where not o.is_unasked), '[]')
    into v_young, v_old
    from (
        select e as message, (
            select g.id from public.messages g where g.whatsapp_message_id = e ->> 'id' limit 1) = any (v_unasked) as is_unasked
        from jsonb_array_elements(v_old) e
    ) o;

    v_stored := public.store_webhook_media(
        v_young, now() - interval '1 hour', public.deferred_constraints_matter());
    v_failed := public.fail_expired_media(v_old);
    queued := v_stored.queued;
    failed := v_stored.failed;
    expired := v_failed.expired;
    deleted := v_stored.deleted + v_failed.deleted;
    unusable := (
        select count(*)
        from unnest(v_stored.problems || v_failed.problems) p
        -- an attachment is queued without its unusable hash, and an error that took no file is no attachment
        where p <> 'hash_unusable' and p not like 'whatsapp\_%');
    return next;
end;
$$;

comment on function public.queue_missing_media is
    'Look at up to at_most messages, in the order of messages.id and after an id, for media in raw_payload (the message as a webhook has it, or what it came in: the value of a change, a change, an entry, or the whole call) of messages without a media row; since: only messages sent since then. Answers how many attachments were queued (those whose content is stored are linked at once), failed (lost by WhatsApp, which said so in the message), expired (came longer ago than media_settings.whatsapp_keeps: failed as media_expired), left alone as somebody deleted them, and unusable (malformed, or refused by a constraint or trigger of the table; an attachment whose hash alone is unusable is queued without it): each attachment that was found is counted once; looked_at: messages read, of about so many in all (messages, 0 if never analyzed); reached, the last message looked at, to go on after; is_finished, whether that was all. Error: MD055 at_most outside 1 to 100000.';
grant execute on function public.queue_missing_media to media_admin;
