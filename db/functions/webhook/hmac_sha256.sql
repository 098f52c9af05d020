-- HMAC-SHA256 (RFC 2104) over the built-in sha256(): pgcrypto may be missing, or in any schema.

create or replace function public.hmac_sha256(p_message bytea, p_key bytea)
returns bytea
language plpgsql
immutable
strict
parallel safe
set search_path = ''
as $$
declare
    v_inner bytea := case when length(p_key) > 64 then sha256(p_key) else p_key end;
    v_outer bytea;
begin
    v_inner := v_inner || decode(repeat('00', 64 - length(v_inner)), 'hex');
    v_outer := v_inner;
    for i in 0..63 loop
        v_inner := set_byte(v_inner, i, get_byte(v_inner, i) # 54); -- 0x36
        v_outer := set_byte(v_outer, i, get_byte(v_outer, i) # 92); -- 0x5c
    end loop;
    return sha256(v_outer || sha256(v_inner || p_message));
end;
$$;

comment on function public.hmac_sha256 is 'HMAC-SHA256 of a message, 32 bytes; null when either argument is.';
