-- Do the caller's deferred constraints hold before anything is stored? If not, the caller is amid something
-- of its own, which says nothing of the messages, and only its commit can tell.

create or replace function public.deferred_constraints_hold()
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform public.check_deferred_constraints();
    return true;
exception when others or assert_failure then
    if public.is_server_fault(sqlstate) then
        raise;
    end if;
    return false;
end;
$$;

comment on function public.deferred_constraints_hold is
    'Whether a commit now would meet no deferred constraint that is violated.';
