-- Add messages to the table, however it may resist.
--
-- The table may be a bot's, with columns, checks and triggers of its own. All go in at once; if that
-- fails they go in one by one, and those that the table refuses are named. The server's own faults (a
-- deadlock, a full disk, a timeout) are raised, so that WhatsApp sends the call again.

create or replace function public.store_webhook_messages(
    p_messages jsonb,
    out added integer,
    out problems text[]
)
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_one record;
begin
    added := 0;
    problems := '{}';
    if p_messages is null then
        return;
    end if;
    added := public.insert_webhook_messages(p_messages);
exception when others then
    if left(sqlstate, 2) in ('08', '25', '40', '53', '55', '57', '58', 'XX') then
        raise;
    end if;
    added := 0;
    if jsonb_array_length(p_messages) = 1 then
        problems := array[left(format('message_refused: %s (%s)', sqlerrm, sqlstate), 300)];
        return;
    end if;
    for v_one in
        select s.added, s.problems
        from (select * from jsonb_array_elements(p_messages) order by value ->> 'id') m (message)
        cross join lateral public.store_webhook_messages(jsonb_build_array(m.message)) s
    loop
        added := added + v_one.added;
        problems := problems || v_one.problems;
    end loop;
end;
$$;

comment on function public.store_webhook_messages is
    'Insert messages that are not in the table yet: how many were added, and the reasons of those the table refused.';
