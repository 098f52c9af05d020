-- Files are in storage: record them for their attachments and for everyone who waited for their contents.

create or replace function public.finish_media_uploads(
    p_poller text,
    p_ids uuid[],
    p_tokens integer[],
    p_object_ids uuid[],
    p_timings jsonb[]
)
returns table (id uuid, waited integer)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
set plan_cache_mode = force_generic_plan -- arrays of few would be planned for anew, call by call
as $$
#variable_conflict use_column
declare
    v_objects public.media_objects[];
    v_object public.media_objects;
    v_missing record;
    v_waiting uuid[];
    v_waited integer[] := array_fill(0, array[cardinality(p_ids)]);
begin
    perform public.lock_media_jobs(p_poller, p_ids, p_tokens);
    perform public.check_poller_project(p_poller);
    perform public.end_media_pause('storage');
    if cardinality(p_ids) > 1 then
        perform
        from public.media_objects o
        where o.id = any (p_object_ids)
        order by o.content_hash, o.is_public
        for no key update;
    end if;
    with stored as (
        update public.media_objects o
        set
            state = 'stored',
            leader_id = null,
            stored_hash = coalesce(o.stored_hash, o.content_hash), -- null where an earlier version began
            stored_size = coalesce(o.stored_size, o.file_size),
            stored_at = clock_timestamp()
        where o.id = any (p_object_ids)
            and o.state = 'uploading'
            and o.leader_id = p_ids[array_position(p_object_ids, o.id)]
            and o.storage_path is not null
        returning o.*
    )
    select array(select o::public.media_objects from stored o) into v_objects;
    if cardinality(v_objects) < cardinality(p_ids) then
        select k.* into v_missing
        from unnest(p_ids, p_object_ids) k (id, object_id)
        where not exists (select from unnest(v_objects) o where o.id = k.object_id)
        limit 1;
        raise exception 'object % is not reserved for media %', v_missing.object_id, v_missing.id
            using errcode = 'MD002', hint = 'Call begin_media_upload first and pass the object_id it returned.';
    end if;

    for v_object in
        select o.*
        from unnest(v_objects) o
        where (select true
            from public.media_processing_queue q
            where q.content_hash = o.content_hash and q.status = 'waiting'
            limit 1) -- a probe, never a hash of them all
        order by o.content_hash, o.is_public
    loop
        v_waiting := public.find_waiting_media(v_object);
        v_waited[array_position(p_object_ids, v_object.id)] := cardinality(v_waiting);
        perform public.link_media_objects(
            v_waiting, array_fill(v_object.id, array[cardinality(v_waiting)]), 'deduplicated');
    end loop;
    perform public.link_media_objects(p_ids, p_object_ids, 'stored', array(
        select coalesce(k.timings, '{}') || jsonb_build_object('checks', o.checks, 'encoding', o.encoding)
        from unnest(p_object_ids, p_timings) with ordinality k (object_id, timings, place)
        join unnest(v_objects) o on o.id = k.object_id
        order by k.place), p_poller);
    perform public.end_media_leads(p_ids);
    return query select k.id, k.waited from unnest(p_ids, v_waited) k (id, waited);
end;
$$;

comment on function public.finish_media_uploads is
    'Record uploads, as finish_media_upload does one: all or none, the arrays having a place for each. Returns how many waited, by attachment. Errors: MD001 lease lost, MD002 object not reserved for this attachment, MD061 the files went to another project than that of the files.';
grant execute on function public.finish_media_uploads to media_poller;
