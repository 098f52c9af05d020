-- What a webhook call brought besides messages: statuses, errors, and fields of other kinds.

create or replace function public.count_ignored_fields(p_payload jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
    with ignored (field, n) as (
        select v.field, jsonb_array_length(jsonb_path_query_array(p_payload, v.path))
        from (values
            ('statuses', jsonpath 'lax $.entry[*].changes[*].value.statuses[*]'),
            ('errors', jsonpath 'lax $.entry[*].changes[*].value.errors[*]'),
            ('errors', jsonpath 'lax $.entry[*].changes[*].value.history[*].errors[*]')
        ) v (field, path)
        union all
        select left(coalesce(c.change ->> 'field', 'unnamed'), 100), 1
        from jsonb_array_elements(jsonb_path_query_array(p_payload, 'lax $.entry[*].changes[*]')) c (change)
        where jsonb_typeof(c.change) = 'object'
            and not jsonb_path_exists(c.change, 'lax $.value ? (exists (@.messages) || exists (@.message_echoes)
                || exists (@.history) || exists (@.statuses) || exists (@.errors))')
    )
    select coalesce(jsonb_object_agg(i.field, i.n), '{}')
    from (select field, sum(n) as n from ignored group by field having sum(n) > 0) i;
$$;

comment on function public.count_ignored_fields is
    'How many statuses, errors and changes of other fields a webhook call has, by name.';
