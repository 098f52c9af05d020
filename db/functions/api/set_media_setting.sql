-- Change one setting. The table's own types and checks judge the value.

create or replace function public.set_media_setting(name text, value text)
returns text
language plpgsql
volatile
security definer -- operators have no rights on the table
set search_path = ''
as $$
declare
    v_type text;
    v_value text;
begin
    select t.typname::text into v_type
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = 'public.media_settings'::regclass
        and a.attname = set_media_setting.name
        and a.attname <> 'only_row'
        and a.attnum > 0
        and not a.attisdropped;
    if not found then
        raise exception 'no setting %', quote_nullable(left(set_media_setting.name, 100))
            using errcode = 'MD023', hint = 'get_media_settings() lists them.';
    end if;
    if set_media_setting.name = 'project_url' then
        perform public.set_media_project_url(set_media_setting.value);
    elsif set_media_setting.value is null then
        execute format('update public.media_settings set %I = default', set_media_setting.name);
    else
        execute format('update public.media_settings set %I = $1::pg_catalog.%I', set_media_setting.name, v_type)
        using set_media_setting.value;
    end if;
    execute format('select %I::text from public.media_settings', set_media_setting.name) into v_value;
    return v_value;
exception
    when check_violation or data_exception then
        raise exception 'setting % cannot be %: it is of type %', set_media_setting.name,
            quote_literal(left(set_media_setting.value, 100)), public.describe_setting_values(set_media_setting.name)
            using errcode = 'MD023', hint = 'Pass such a value, or null for the default; get_media_settings() says what it means.';
end;
$$;

comment on function public.set_media_setting is
    'Set one setting of media_settings; null: back to its default. Returns the value it has then. Errors: MD023 no such setting, or not a value for it.';
grant execute on function public.set_media_setting to media_admin;
