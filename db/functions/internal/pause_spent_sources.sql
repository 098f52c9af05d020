-- Numbers that may have been refused as much as WhatsApp bears are left alone until the oldest of it
-- is an hour old.

create or replace function public.pause_spent_sources(p_sources text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_spent record;
begin
    for v_spent in
        select m.source, count(*) filter (where r.heard) as refused, count(*) as requests,
            min(r.at) + interval '1 hour' as ends_at
        from public.media_sources m
        cross join lateral (
            select t.at, true
            from unnest(m.refused_at) t (at)
            union all
            select u.ended_at, false
            from public.media_unheard_requests u
            where u.source = m.source
        ) r (at, heard)
        where m.source = any (p_sources) and r.at > now() - interval '1 hour'
        group by m.source
        having count(*) >= (select s.refusals_per_hour from public.media_settings s)
        order by m.source
    loop
        continue when exists (
            select from public.media_pauses p where p.scope = v_spent.source and p.until >= v_spent.ends_at);
        perform public.extend_media_pause(v_spent.source, 'whatsapp_refusals_spent', format(
            'within an hour WhatsApp refused %s requests, and %s more ended without an answer',
            v_spent.refused, v_spent.requests - v_spent.refused),
            interval '0 seconds', v_spent.ends_at - now());
    end loop;
end;
$$;

comment on function public.pause_spent_sources is
    'Pause those of these sources (whatsapp:<phone number id>) that have spent media_settings.refusals_per_hour, by requests that were refused or may have been.';
