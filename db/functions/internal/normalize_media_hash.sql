-- SHA-256 as lowercase hex, from either form WhatsApp sends: 64 hex digits from the media
-- endpoint, 44 characters of base64 in webhooks. Anything else is null.

create or replace function public.normalize_media_hash(p_hash text)
returns text
language plpgsql
immutable
parallel safe
strict
set search_path = ''
as $$
begin
    return case
        when p_hash ~ '^[0-9A-Fa-f]{64}$' then lower(p_hash)
        when p_hash ~ '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$' then encode(decode(p_hash, 'base64'), 'hex')
    end;
end;
$$;

comment on function public.normalize_media_hash is
    'SHA-256 as 64 lowercase hex digits, from hex or base64; null for anything else.';
