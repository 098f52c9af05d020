-- Is an error the server's own (a lost connection, a deadlock, a full disk, a timeout), and not what a
-- row is refused for? Then WhatsApp should send the call again.

create or replace function public.is_server_fault(p_sqlstate text)
returns boolean
language sql
immutable
parallel safe
set search_path = ''
as $$
    select left(p_sqlstate, 2) in ('08', '25', '40', '53', '55', '57', '58', 'XX')
        and p_sqlstate <> '55000'; -- also what plpgsql raises for a record that is not assigned
$$;

comment on function public.is_server_fault is
    'Whether an SQLSTATE tells of a fault of the server that may be over at the next try, not of a row that is refused.';
