-- What a file may have at most: the limit of its bucket, or while that is not known, the largest of all.

create or replace function public.get_size_limit(p_bucket public.media_buckets)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
    if p_bucket.file_size_limit is not null then
        return p_bucket.file_size_limit;
    end if;
    return (select max(b.file_size_limit) from public.media_buckets b);
end;
$$;

comment on function public.get_size_limit is
    'The most bytes of a file of this bucket; of any bucket for a null row.';
