-- The file is in storage: record it for this attachment and for everyone who waited for its content.

create or replace function public.finish_media_upload(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_object_id uuid,
    p_timings jsonb default null
)
returns integer
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
set enable_seqscan = off -- a queue that statistics call empty is full of dead rows
set jit = off -- before Postgres 18, a scan all the same makes a plan dear enough to be compiled
as $$
declare
    v_object public.media_objects;
    v_waiting uuid[] := '{}'::uuid[];
begin
    perform public.lock_media_job(p_id, p_poller, p_token);
    perform public.check_poller_project(p_poller);
    perform public.end_media_pause('storage');
    update public.media_objects o
    set
        state = 'stored',
        leader_id = null,
        stored_hash = coalesce(o.stored_hash, o.content_hash), -- null where an earlier version began
        stored_size = coalesce(o.stored_size, o.file_size),
        stored_at = clock_timestamp()
    where o.id = p_object_id and o.state = 'uploading' and o.leader_id = p_id and o.storage_path is not null
    returning o.* into v_object;
    if not found then
        raise exception 'object % is not reserved for media %', p_object_id, p_id
            using errcode = 'MD002', hint = 'Call begin_media_upload first and pass the object_id it returned.';
    end if;
    if exists (
        select from public.media_processing_queue q where q.content_hash = v_object.content_hash and q.status = 'waiting'
    ) then
        v_waiting := array(
            select q.id
            from public.media_processing_queue q
            join public.media m on m.id = q.id
            where q.content_hash = v_object.content_hash -- whomever it waits for
                and q.status = 'waiting'
                and exists ( -- any other is freed below or at its recheck, and judged for itself
                    select
                    from public.media_formats f
                    where f.mime_type = v_object.mime_type
                        and coalesce(m.media_type, f.media_type) = any (f.arrives_as)
                        and (public.route_media_content(m.media_type, f)).is_public = v_object.is_public)
            order by q.id
            for key share of m
            for update of q
        );
    end if;
    perform public.link_media_object(array[p_id], v_object, 'stored',
        coalesce(p_timings, '{}') || jsonb_build_object('checks', v_object.checks, 'encoding', v_object.encoding), p_poller);
    if v_waiting <> '{}' then
        perform public.link_media_object(v_waiting, v_object, 'deduplicated');
    end if;
    perform public.free_waiting_media(p_id);
    perform public.drop_media_reservations(p_id);
    return cardinality(v_waiting);
end;
$$;

comment on function public.finish_media_upload is
    'Record an upload: the object is stored, this attachment and those that waited for its content are processed, in one transaction. p_timings: milliseconds by step, kept in the audit trail. Returns how many waited. Errors: MD001 lease lost, MD002 object not reserved for this attachment, MD061 the file went to another project than that of the files.';
grant execute on function public.finish_media_upload to media_poller;
