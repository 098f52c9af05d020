-- Every setting of media_settings with its value, default and meaning.

create or replace function public.get_media_settings()
returns table (name text, value text, default_value text, meaning text)
language sql
stable
security definer -- reads the settings for operators
set search_path = ''
as $$
    select
        a.attname::text,
        to_jsonb(s) ->> a.attname,
        (regexp_match(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '^''?(.*?)''?(?:::[a-z ]+)?$'))[1],
        pg_catalog.col_description(a.attrelid, a.attnum)
    from pg_catalog.pg_attribute a
    cross join public.media_settings s
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = 'public.media_settings'::regclass
        and a.attnum > 0
        and not a.attisdropped
        and a.attname <> 'only_row'
    order by a.attnum;
$$;

comment on function public.get_media_settings is
    'Every setting: name, value, default (null: unset) and meaning. set_media_setting changes one.';
grant execute on function public.get_media_settings to media_admin;
