-- The bucket of the processing-time histogram: four to each doubling, so a percentile is within 10 %.

create or replace function public.get_time_bucket(p_time interval)
returns smallint
language plpgsql
immutable
parallel safe
strict
set search_path = ''
as $$
declare
    v_doublings double precision := ln(greatest(extract(epoch from p_time)::double precision * 1000, 1)) / ln(2);
begin
    return least(ceil(round((4 * v_doublings)::numeric, 9)), 200)::smallint; -- a time on the edge is in the lower bucket
end;
$$;

comment on function public.get_time_bucket is
    'Bucket b of media_processing_times: times over 2^((b-1)/4) and up to 2^(b/4) milliseconds.';
