-- Are two secrets equal? The time it takes tells nothing of where they differ, or of their lengths.

create or replace function public.equal_in_constant_time(p_one bytea, p_other bytea)
returns boolean
language plpgsql
immutable
parallel safe
set search_path = ''
as $$
declare
    v_one bytea := sha256(p_one);
    v_other bytea := sha256(p_other);
    v_difference integer := 0;
begin
    if v_one is null or v_other is null then
        return false;
    end if;
    for i in 0..31 loop
        v_difference := v_difference | (get_byte(v_one, i) # get_byte(v_other, i));
    end loop;
    return v_difference = 0;
end;
$$;

comment on function public.equal_in_constant_time is
    'Whether two secrets are equal, without a time that depends on them; false when either is null.';
