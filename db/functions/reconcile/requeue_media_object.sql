-- The file of an object is missing or wrong: all attachments that refer to it are fetched again, or
-- fail, when WhatsApp no longer has them.
--
-- The object goes at once, so that nothing new refers to it; the next one gets another path. Its rows
-- are locked without waiting: an object that somebody is at is left to a later run, and there is no
-- deadlock. With the object locked, no reference can be added unseen.

create or replace function public.requeue_media_object(p_difference public.media_storage_differences)
returns table (attachments integer, expired integer)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
    v_media uuid[];
begin
    select o.* into v_object
    from public.media_objects o
    where o.id = p_difference.object_id and o.state = 'stored' and o.stored_at = p_difference.stored_at
    for update skip locked;
    if not found then
        return;
    end if;
    v_media := array(
        select m.id
        from public.media m
        where m.object_id = v_object.id
        for no key update skip locked
    );
    if cardinality(v_media) < (select count(*) from public.media m where m.object_id = v_object.id) then
        return;
    end if;
    insert into public.media_audit_log (media_id, event, detail)
    select m.id, case p_difference.difference when 'missing' then 'file missing' else 'file differs' end,
        jsonb_strip_nulls(to_jsonb(p_difference) - '{run_id,difference,status}'::text[])
    from unnest(v_media) m (id);
    insert into public.media_analytics_deltas (
        date, media_type, lost_files, lost_bytes, stored_files, stored_bytes)
    select (now() at time zone 'utc')::date, coalesce(m.media_type, 'unknown'), count(*), sum(m.file_size),
        -count(*), -sum(m.file_size)
    from public.media m
    where m.id = any (v_media)
    group by m.media_type;
    update public.media m
    set
        processed = false,
        processed_at = null,
        object_id = null,
        content_hash = null,
        bucket_name = null,
        storage_path = null,
        public_url = null
    where m.id = any (v_media);
    delete from public.media_objects o where o.id = v_object.id;
    insert into public.media_deletion_queue (bucket_name, storage_path, reason, due_at)
    select v_object.bucket_name, v_object.storage_path, 'file differs', now() + s.wrong_files_kept
    from public.media_settings s
    where p_difference.difference = 'differs'
    on conflict (bucket_name, storage_path) do nothing;
    attachments := cardinality(v_media);
    expired := public.queue_lost_media(v_media, v_object.content_hash, format(
        'the file %s/%s %s', v_object.bucket_name, v_object.storage_path,
        case p_difference.difference when 'missing' then 'is missing in storage' else 'in storage is another one' end));
    return next;
end;
$$;

comment on function public.requeue_media_object is
    'Queue the attachments of a stored object again whose file is missing or differs, and forget the object. Returns how many, and how many of them failed at once, as WhatsApp no longer keeps them; no row when the object has changed, or somebody is at it or its attachments.';
