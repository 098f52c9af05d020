-- A message or attachment that its table refuses, with the reason: at the end of every search by halves.

create or replace function public.name_refused_row(p_kind text, p_rows jsonb, p_error text, p_sqlstate text)
returns jsonb
language sql
immutable
parallel safe
set search_path = ''
as $$
    select jsonb_build_array((p_rows -> 0) - 'raw' || jsonb_build_object(
        'problem', left(format('%s_refused: %s (%s)', p_kind, p_error, p_sqlstate), 300)));
$$;

comment on function public.name_refused_row is
    'The only row of an array, as an array, without raw and with problem: the kind, the error and its SQLSTATE.';
