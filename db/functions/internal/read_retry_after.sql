-- How long a provider asks to be left alone. What a header says is not trusted beyond a day: more
-- would stop a source for good, and far more is no interval at all.

create or replace function public.read_retry_after(p_seconds double precision)
returns interval
language sql
immutable
parallel safe
strict
set search_path = ''
as $$
    select make_interval(secs => greatest(0, least(p_seconds, 86400)));
$$;

comment on function public.read_retry_after is
    'A provider''s Retry-After in seconds as an interval between nothing and one day; null for none.';
