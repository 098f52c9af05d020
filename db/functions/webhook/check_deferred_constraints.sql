-- Raise now what deferred constraints and constraint triggers would raise at the commit.
--
-- Only a trial: SET CONSTRAINTS runs what is pending, and the block's rollback takes back all of that, the
-- effects of the triggers and the modes. So a transaction of a bot that has deferred something goes on as
-- it was, and everything is checked once more at its commit.

create or replace function public.check_deferred_constraints()
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_hold boolean := false;
begin
    set constraints all immediate;
    v_hold := true;
    raise exception 'taken back';
exception when others then
    if not v_hold then
        raise;
    end if;
end;
$$;

comment on function public.check_deferred_constraints is
    'Raise the error of the first deferred constraint that does not hold now; changes nothing, whether it raises or not.';
