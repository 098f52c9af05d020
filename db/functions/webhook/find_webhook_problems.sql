-- What of a webhook call's outer shape cannot be used.

create or replace function public.find_webhook_problems(p_payload jsonb)
returns setof text
language sql
immutable
set search_path = ''
as $$
    select case
        when p_payload is null then 'unreadable'
        when jsonb_typeof(p_payload) not in ('object', 'array') then 'not_an_object'
        else 'no_changes'
    end
    where p_payload is null or not jsonb_path_exists(p_payload, 'lax $.entry[*].changes[*]')
    union all
    select 'change_not_an_object'
    from jsonb_array_elements(jsonb_path_query_array(p_payload, 'lax $.entry[*].changes[*]')) c (change)
    where jsonb_typeof(c.change) <> 'object'
    union all
    select 'change_without_value'
    from jsonb_array_elements(jsonb_path_query_array(p_payload, 'lax $.entry[*].changes[*]')) c (change)
    where jsonb_typeof(c.change) = 'object' and coalesce(jsonb_typeof(c.change -> 'value'), '') not in ('object', 'array');
$$;

comment on function public.find_webhook_problems is
    'Reasons, one for each part of a webhook call whose shape is not that of entry, changes and value.';
