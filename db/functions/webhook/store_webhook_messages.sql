-- Add messages to the table, however it may resist.
--
-- The table may be a bot's, with columns, checks and triggers of its own. All go in at once; if that
-- fails they go in by halves, in the same order, until those that the table refuses stand alone and are
-- named. A deferred constraint counts as well: at the commit it would refuse the whole call.
-- The server's own faults are raised, so that WhatsApp sends the call again.

create or replace function public.store_webhook_messages(
    p_messages jsonb,
    p_check_deferred boolean,
    out added integer,
    out problems text[]
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_half integer := jsonb_array_length(p_messages) / 2;
    v_stored record;
    v_others record;
begin
    added := 0;
    problems := '{}';
    if p_messages is null then
        return;
    end if;
    added := public.insert_webhook_messages(p_messages);
    if p_check_deferred then
        perform public.check_deferred_constraints();
    end if;
exception when others or assert_failure then
    if public.is_server_fault(sqlstate) then
        raise;
    end if;
    added := 0;
    if v_half = 0 then
        problems := array[left(format('message_refused: %s (%s)', sqlerrm, sqlstate), 300)];
        return;
    end if;
    v_stored := public.store_webhook_messages(
        jsonb_path_query_array(p_messages, '$[0 to $last]', jsonb_build_object('last', v_half - 1)), p_check_deferred);
    v_others := public.store_webhook_messages(
        jsonb_path_query_array(p_messages, '$[$first to last]', jsonb_build_object('first', v_half)), p_check_deferred);
    added := v_stored.added + v_others.added;
    problems := v_stored.problems || v_others.problems;
end;
$$;

comment on function public.store_webhook_messages is
    'Insert messages, an array ordered by their ids, that are not in the table yet: how many were added, and the reasons of those the table refused.';
