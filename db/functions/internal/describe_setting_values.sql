-- What a setting may be, in words: its type, and what the checks of the table ask of it.

create or replace function public.describe_setting_values(p_name text)
returns text
language sql
stable
set search_path = ''
as $$
    select concat_ws(' with ', pg_catalog.format_type(a.atttypid, a.atttypmod), (
        select string_agg(
            case when c.conname like '%\_forward' then 'no part of it below zero'
                else replace(regexp_replace(
                    pg_catalog.pg_get_constraintdef(c.oid), '^CHECK |[()]|::[a-z]+( [a-z]+)*', '', 'g'), ' AND ', ' and ')
            end, ' and ' order by c.conname like '%\_forward', c.conname)
        from pg_catalog.pg_constraint c
        where c.conrelid = a.attrelid and c.contype = 'c' and a.attnum = any (c.conkey)))
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.media_settings'::regclass and a.attname = p_name;
$$;

comment on function public.describe_setting_values is
    'The values that a setting may have, as in: smallint with refusals_per_hour >= 1 and refusals_per_hour <= 10000.';
