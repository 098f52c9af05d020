-- Store messages or media, however the table may resist: it may be a bot's, with columns, checks and
-- triggers of its own.
--
-- All go in at once; if that fails they go in by halves, in the same order, until those that the table
-- refuses stand alone and are named. What is refused leaves nothing behind. Where constraints may be
-- deferred, each check goes through all that is stored so far: so those rows are found by trials first.
-- The server's own faults are raised, so that WhatsApp sends the call again.

create or replace function public.store_webhook_rows(
    p_kind text,
    p_rows jsonb,
    p_check_deferred boolean,
    p_sifted boolean default false,
    out stored jsonb,
    out refused jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_half integer := jsonb_array_length(p_rows) / 2;
    v_sifted record;
    v_some record;
    v_others record;
begin
    stored := '[]';
    refused := '[]';
    if p_rows = '[]' then
        return;
    end if;
    stored := public.write_webhook_rows(p_kind, p_rows, p_check_deferred);
exception when others or assert_failure then
    if public.is_server_fault(sqlstate) then
        raise;
    elsif v_half = 0 then
        refused := public.name_refused_row(p_kind, p_rows, sqlerrm, sqlstate);
    elsif p_check_deferred and not p_sifted then
        v_sifted := public.sift_webhook_rows(p_kind, p_rows);
        v_some := public.store_webhook_rows(p_kind, v_sifted.usable, true, true);
        stored := v_some.stored;
        refused := v_sifted.refused || v_some.refused;
    else
        v_some := public.store_webhook_rows(p_kind, jsonb_path_query_array(
            p_rows, '$[0 to $last]', jsonb_build_object('last', v_half - 1)), p_check_deferred, true);
        v_others := public.store_webhook_rows(p_kind, jsonb_path_query_array(
            p_rows, '$[$first to last]', jsonb_build_object('first', v_half)), p_check_deferred, true);
        stored := v_some.stored || v_others.stored;
        refused := v_some.refused || v_others.refused;
    end if;
end;
$$;

comment on function public.store_webhook_rows is
    'Store messages (p_kind message) or media (p_kind media), an array ordered by their keys: stored is what write_webhook_rows answers, refused the rows that the table refused, without raw, and with the reason as problem.';
