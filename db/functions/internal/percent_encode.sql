-- A text as one value in the query of a URL: its UTF-8 bytes, all but unreserved characters as %XX.

create or replace function public.percent_encode(p_text text)
returns text
language sql
stable
strict
set search_path = ''
as $$
    select coalesce(
        string_agg(
            case when chr(x.byte) ~ '[A-Za-z0-9._~-]' then chr(x.byte) else '%' || upper(lpad(to_hex(x.byte), 2, '0')) end,
            '' order by x.place),
        '')
    from (
        select n as place, get_byte(convert_to(p_text, 'UTF8'), n) as byte
        from generate_series(0, octet_length(convert_to(p_text, 'UTF8')) - 1) n
    ) x;
$$;

comment on function public.percent_encode is
    'A text percent-encoded for the query of a URL (RFC 3986), as UTF-8.';
