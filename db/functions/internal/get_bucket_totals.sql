-- Objects and bytes in each bucket, folded or not.

create or replace function public.get_bucket_totals()
returns json
language sql
stable
set search_path = ''
as $$
    with counted as (
        select * from public.media_bucket_totals
        union all
        (select * from public.media_bucket_deltas limit 100000)
    )
    select coalesce(json_object_agg(c.bucket_name, c.figures order by c.bucket_name), '{}')
    from (
        select k.bucket_name, json_build_object('objects', sum(k.objects), 'bytes', sum(k.bytes)) as figures
        from counted k
        group by k.bucket_name
    ) c;
$$;

comment on function public.get_bucket_totals is
    'By bucket: objects, the distinct contents stored in it, and their bytes.';
