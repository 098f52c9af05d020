-- The rule for a failure: the provider's own code decides before the HTTP status does.

create or replace function public.find_failure_rule(p_source text, p_provider_code text, p_http_status integer)
returns public.media_failure_rules
language sql
stable
set search_path = ''
as $$
    select r
    from public.media_failure_rules r
    where r.source = p_source
        and (r.provider_code is null or r.provider_code = p_provider_code)
        and (r.http_status is null or r.http_status @> p_http_status)
    order by (r.provider_code is null), (r.http_status is null), r.id
    limit 1;
$$;

comment on function public.find_failure_rule is
    'The row of media_failure_rules that fits a reported failure best.';
