-- The bucket of the processing-time histogram: four to each doubling, so a percentile is within 10 %.

create or replace function public.get_time_bucket(p_time interval)
returns smallint
language sql
immutable
parallel safe
set search_path = ''
as $$
    select case when p_time is not null then
        least(ceil(4 * log(2, greatest(extract(epoch from p_time) * 1000, 1))), 200)::smallint end;
$$;

comment on function public.get_time_bucket is
    'Bucket b of media_processing_times: times over 2^((b-1)/4) and up to 2^(b/4) milliseconds.';
