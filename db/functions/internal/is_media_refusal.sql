-- Does a failure count towards the requests that WhatsApp may refuse to a number in an hour?

create or replace function public.is_media_refusal(p_source text, p_http_status integer)
returns boolean
language sql
immutable
parallel safe
set search_path = ''
as $$
    select coalesce(p_source = 'whatsapp' and p_http_status between 400 and 499, false);
$$;

comment on function public.is_media_refusal is
    'Whether a failure is a request refused by WhatsApp: of that source, with an HTTP status of 400 to 499.';
