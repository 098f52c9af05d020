-- May a commit refuse what is about to be stored? Only if something can be deferred at all, and if what
-- the caller has deferred holds before: else it is amid something of its own, which says nothing of the
-- messages, and only its commit can tell.

create or replace function public.deferred_constraints_matter()
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
    if not exists (select from pg_catalog.pg_trigger t where t.tgdeferrable) then
        return false;
    end if;
    perform public.check_deferred_constraints();
    return true;
exception when others or assert_failure then
    if public.is_server_fault(sqlstate) then
        raise;
    end if;
    return false;
end;
$$;

comment on function public.deferred_constraints_matter is
    'Whether there are deferrable constraints or triggers, and none of them is violated yet: then what is stored has to be checked against them.';
