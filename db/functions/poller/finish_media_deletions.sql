-- The files are gone from storage: forget their objects. A missing file counts as removed.
--
-- The event is in the audit trail of the object, to which those of its attachments lead, as it may
-- have had many; and in that of nobody, where there was none.

create or replace function public.finish_media_deletions(p_poller text, p_ids uuid[], p_tokens integer[])
returns integer
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select public.check_poller_project(p_poller);

    select public.end_media_pause('storage');

    with done as (
        delete from public.media_deletion_queue d
        using unnest(p_ids, p_tokens) h (id, token)
        where d.id = h.id
            and d.fencing_token = h.token
            and d.claimed_by = p_poller -- so it is still processing
        returning d.*
    ),
    logged as (
        insert into public.media_audit_log (media_id, event, poller, attempt, detail)
        select coalesce(d.object_id, '00000000-0000-0000-0000-000000000000'), 'file removed', p_poller, d.attempts,
            jsonb_build_object('bucket_name', d.bucket_name, 'storage_path', d.storage_path, 'reason', d.reason)
        from done d
    ),
    forgotten as (
        delete from public.media_objects o
        using done d
        where o.id = d.object_id and o.state = 'deleting'
    )
    select count(*)::integer from done;
$$;

comment on function public.finish_media_deletions is
    'Record that files were removed from storage; returns how many of them the poller still held. Each is an event in the audit trail of its object, or, where there was none, of the id 00000000-0000-0000-0000-000000000000. Error: MD061 they were looked for in another project than that of the files.';
grant execute on function public.finish_media_deletions to media_poller;
