-- Fold what was appended into the totals of the buckets. Called by fold_media_analytics, under its lock.

create or replace function public.fold_bucket_totals(p_limit integer)
returns void
language sql
volatile
set search_path = ''
as $$
    with folded as (
        delete from public.media_bucket_deltas d
        where d.ctid = any (array(select x.ctid from public.media_bucket_deltas x limit p_limit))
        returning d.*
    )
    insert into public.media_bucket_totals as t (bucket_name, objects, bytes)
    select f.bucket_name, sum(f.objects), sum(f.bytes)
    from folded f
    group by f.bucket_name
    on conflict (bucket_name) do update
    set objects = t.objects + excluded.objects,
        bytes = t.bytes + excluded.bytes;
$$;

comment on function public.fold_bucket_totals is 'Fold up to p_limit rows of media_bucket_deltas into media_bucket_totals.';
