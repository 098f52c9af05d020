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
    order by b.bucket_name;
$$;

comment on function public.get_media_bucket_policy is
    'The buckets storage must have: public or not, size limit in bytes, and the content types each may hold; none where no row of media_formats leads to the bucket, which storage would take for all.';
grant execute on function public.get_media_bucket_policy to media_poller, media_admin;
