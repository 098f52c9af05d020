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
        when length(p_hash) = 64 and p_hash !~ '[^0-9A-Fa-f]' then lower(p_hash) -- {64} would cost ten times as much
        when length(p_hash) = 44 and p_hash ~ '^[A-Za-z0-9+/]*[AEIMQUYcgkosw048]=$' then encode(decode(p_hash, 'base64'), 'hex')
    end;
end;
$$;

comment on function public.normalize_media_hash is
    'SHA-256 as 64 lowercase hex digits, from hex or base64; null for anything else.';
