-- How many more jobs of a source may be in work: none while it is paused, one to probe it after a
-- pause, else what is left of its limit. Every job in work may be refused once, so it counts as if
-- it had been.

create or replace function public.get_source_allowance(p_source text, p_refused_at timestamptz[])
returns integer
language sql
stable
set search_path = ''
as $$
    select case
        when p.until > now() then 0
        when p.scope is not null and w.jobs > 0 then 0
        when p.scope is not null then least(1, s.refusals_per_hour - r.refusals)
        else s.refusals_per_hour - r.refusals - w.jobs
    end::integer
    from public.media_settings s
    cross join lateral (
        select count(*) as jobs
        from public.media_processing_queue q
        where q.source = p_source and q.status = 'processing'
    ) w
    cross join lateral (
        select count(*) as refusals
        from unnest(p_refused_at) t (at)
        where t.at > now() - interval '1 hour'
    ) r
    left join public.media_pauses p on p.scope = p_source;
$$;

comment on function public.get_source_allowance is
    'How many more jobs of a source (whatsapp:<phone number id>) may be claimed now; zero or less for none.';
