-- How many more jobs of each source may be in work: none while it is paused, one to probe it after a
-- pause, else what is left of its limit. Every job in work may be refused until its bytes are here, so
-- it counts as if it had been; and so does, for an hour, every one that ended unheard. A sixth of the
-- limit is kept back for the time after a crash of everything, when one job after the other has to show
-- that its own request is granted, and some of these may be killed, too.

create or replace function public.get_source_allowances(p_sources text[])
returns table (source text, jobs integer)
language plpgsql
stable
set search_path = ''
as $$
begin
    return query
    select m.source, case
        when p.until > now() then 0
        when p.scope is not null and w.probes > 0 then 0
        when p.scope is not null then least(1, l.requests - w.jobs)
        else greatest(l.requests - greatest(s.refusals_per_hour / 6, 1), least(l.requests, 1)) - w.jobs
    end::integer
    from public.media_settings s
    cross join public.media_sources m
    left join public.media_pauses p on p.scope = m.source
    cross join lateral (
        select s.refusals_per_hour
            - (select count(*) from unnest(m.refused_at) t (at) where t.at > now() - interval '1 hour')
            - (
                select count(*)
                from public.media_unheard_requests u
                where u.source = m.source and u.ended_at > now() - interval '1 hour') as requests
    ) l
    cross join lateral (
        select count(*) filter (where not q.bytes_received) as jobs,
            count(*) filter (where q.claimed_at >= p.until) as probes -- older work is none
        from public.media_processing_queue q
        where q.source = m.source and q.status = 'processing'
    ) w
    where m.source = any (p_sources);
end;
$$;

comment on function public.get_source_allowances is
    'How many more jobs of each of these sources (whatsapp:<phone number id>) may be claimed now; zero or less for none.';
