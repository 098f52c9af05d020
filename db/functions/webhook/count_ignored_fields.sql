-- What a webhook call brought besides messages: statuses, errors, and fields of other kinds.

create or replace function public.count_ignored_fields(p_payload jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
    with ignored (field) as (
        select 'statuses' from jsonb_path_query(p_payload, 'lax $.entry[*].changes[*].value.statuses[*]')
        union all
        select 'errors' from jsonb_path_query(p_payload, 'lax $.entry[*].changes[*].value.errors[*]')
        union all
        select 'errors' from jsonb_path_query(p_payload, 'lax $.entry[*].changes[*].value.history[*].errors[*]')
        union all
        select left(coalesce(c.change ->> 'field', 'unnamed'), 100)
        from jsonb_path_query(p_payload, 'lax $.entry[*].changes[*]') c (change)
        where jsonb_typeof(c.change) = 'object'
            and not jsonb_path_exists(c.change, 'lax $.value ? (exists (@.messages) || exists (@.message_echoes)
                || exists (@.history) || exists (@.statuses) || exists (@.errors))')
    )
    select coalesce(jsonb_object_agg(i.field, i.n), '{}')
    from (select field, count(*) as n from ignored group by field) i;
$$;

comment on function public.count_ignored_fields is
    'How many statuses, errors and changes of other fields a webhook call has, by name.';
