-- Lease up to p_limit files to remove. A file that something refers to again is kept instead.

create or replace function public.claim_media_deletions(p_poller text, p_limit integer)
returns table (id uuid, fencing_token integer, bucket_name text, storage_path text)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_ids uuid[];
begin
    perform public.check_poller_project(p_poller);
    update public.media_deletion_queue d
    set status = 'pending', due_at = now(), claimed_by = null, lease_until = null
    where d.id in (
        select x.id
        from public.media_deletion_queue x
        where x.status = 'processing' and x.lease_until < clock_timestamp()
        limit 1000
        for update skip locked
    );
    v_ids := array(
        select d.id
        from public.media_deletion_queue d
        where d.status = 'pending'
            and d.due_at <= now()
            and not exists (
                select
                from public.media_pauses p
                where p.until > now() and p.scope in ('storage', 'poller:' || p_poller))
        order by d.due_at, d.id
        limit coalesce(p_limit, 0)
        for update skip locked
    );
    with kept as (
        delete from public.media_deletion_queue d
        where d.id = any (v_ids) and exists (select from public.media m where m.object_id = d.object_id)
        returning d.object_id
    )
    update public.media_objects o
    set state = 'stored'
    from kept k
    where o.id = k.object_id;

    return query
    update public.media_deletion_queue d
    set
        status = 'processing',
        attempts = least(d.attempts, 32766) + 1, -- never given up, so it must not overflow
        fencing_token = d.fencing_token + 1,
        claimed_by = p_poller,
        lease_until = clock_timestamp() + s.lease
    from public.media_settings s
    where d.id = any (v_ids)
    returning d.id, d.fencing_token, d.bucket_name, d.storage_path;
end;
$$;

comment on function public.claim_media_deletions is
    'Lease up to p_limit files to remove from storage to a poller, for media_settings.lease. Error: MD061 the poller works with another project than that of the files.';
grant execute on function public.claim_media_deletions to media_poller;
