-- Does a failure count towards the requests that WhatsApp may refuse to a number in an hour? It refuses by
-- 400 to 499, and a lost permission also by 500 with a code of its own.

create or replace function public.is_media_refusal(p_http_status integer, p_rule public.media_failure_rules)
returns boolean
language sql
immutable
parallel safe
set search_path = ''
as $$
    select coalesce((p_rule).source = 'whatsapp' and (
        p_http_status between 400 and 499
        or p_http_status >= 500 and (p_rule).action = 'pause' and (p_rule).provider_code is not null), false);
$$;

comment on function public.is_media_refusal is
    'Whether a failure with this HTTP status, which this rule is for, is a request that WhatsApp refused.';
