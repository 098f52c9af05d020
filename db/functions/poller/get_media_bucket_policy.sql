-- What each bucket must be in storage.

create or replace function public.get_media_bucket_policy()
returns table (bucket_name text, is_public boolean, file_size_limit bigint, mime_types text[])
language sql
stable
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select b.bucket_name, b.is_public, b.file_size_limit,
        coalesce(array_agg(f.mime_type order by f.mime_type) filter (where f.mime_type is not null), '{}')
    from public.media_buckets b
    left join public.media_formats f on f.arrives_as && b.media_types
    group by b.bucket_name
    union all
    select 'media-quarantine', false, max(b.file_size_limit), '{application/octet-stream}'
    from public.media_buckets b
    where (select s.quarantine_refused from public.media_settings s)
        or exists (select from public.media_quarantine)
    having count(*) > 0
    order by bucket_name;
$$;

comment on function public.get_media_bucket_policy is
    'The buckets storage must have: public or not, size limit in bytes, and the content types each may hold; none where no row of media_formats leads to the bucket, which storage would take for all. With media_settings.quarantine_refused also media-quarantine, in which all is application/octet-stream.';
grant execute on function public.get_media_bucket_policy to media_poller, media_admin;
