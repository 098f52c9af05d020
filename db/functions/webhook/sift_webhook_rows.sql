-- Find the rows that a table refuses, at once or by a deferred constraint, by trials: all together, and if
-- that fails by halves.
--
-- Every trial is taken back, so that the next one checks its own rows alone, and the whole takes linear
-- time for every halving. What only fails beside other rows is not found here.

create or replace function public.sift_webhook_rows(
    p_kind text,
    p_rows jsonb,
    out usable jsonb,
    out refused jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_half integer := jsonb_array_length(p_rows) / 2;
    v_went_in boolean := false;
    v_some record;
    v_others record;
begin
    usable := p_rows;
    refused := '[]';
    perform public.write_webhook_rows(p_kind, p_rows, true);
    v_went_in := true;
    raise exception 'taken back';
exception when others or assert_failure then
    if v_went_in then
        return;
    elsif public.is_server_fault(sqlstate) then
        raise;
    elsif v_half = 0 then
        usable := '[]';
        refused := public.name_refused_row(p_kind, p_rows, sqlerrm, sqlstate);
        return;
    end if;
    v_some := public.sift_webhook_rows(p_kind, jsonb_path_query_array(
        p_rows, '$[0 to $last]', jsonb_build_object('last', v_half - 1)));
    v_others := public.sift_webhook_rows(p_kind, jsonb_path_query_array(
        p_rows, '$[$first to last]', jsonb_build_object('first', v_half)));
    usable := v_some.usable || v_others.usable;
    refused := v_some.refused || v_others.refused;
end;
$$;

comment on function public.sift_webhook_rows is
    'Which rows (as store_webhook_rows takes them) the table would take, in their order, and which it refuses; stores nothing.';
