-- Lease up to p_limit files to remove. A file that something refers to again is kept instead.

create or replace function public.claim_media_deletions(p_poller text, p_limit integer)
returns table (id uuid, fencing_token integer, bucket_name text, storage_path text)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
begin
    update public.media_deletion_queue d
    set status = 'pending', due_at = now(), claimed_by = null, lease_until = null
    where d.id in (
        select x.id
        from public.media_deletion_queue x
        where x.status = 'processing' and x.lease_until < clock_timestamp()
        limit 1000
        for update skip locked
    );
    return query
    with picked as materialized (
        select d.id
        from public.media_deletion_queue d
        where d.status = 'pending'
            and d.due_at <= now()
            and not exists (select from public.media_pauses p where p.until > now() and p.scope = 'storage')
        order by d.due_at, d.id
        limit p_limit
        for update skip locked
    )
    update public.media_deletion_queue d
    set
        status = 'processing',
        attempts = least(d.attempts, 32766) + 1, -- never given up, so it must not overflow
        fencing_token = d.fencing_token + 1,
        claimed_by = p_poller,
        lease_until = clock_timestamp() + s.lease
    from public.media_settings s
    where d.id = any (array(select k.id from picked k))
    returning d.id, d.fencing_token, d.bucket_name, d.storage_path;
end;
$$;

comment on function public.claim_media_deletions is
    'Lease up to p_limit files to remove from storage to a poller, for media_settings.lease.';
grant execute on function public.claim_media_deletions to media_poller;
