-- How many jobs a poller may claim at all: none while storage or the poller itself is paused, one to
-- probe after such a pause has ended, else as many as it asks for.

create or replace function public.limit_media_claim(p_poller text, p_limit integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_pause public.media_pauses;
begin
    for v_pause in
        select p.*
        from public.media_pauses p
        where p.scope in ('storage', 'poller:' || p_poller)
        order by p.scope
        for update -- so that two pollers cannot both take the probe
    loop
        if v_pause.until > now() then
            return 0;
        elsif v_pause.scope <> 'storage' then
            delete from public.media_pauses p where p.scope = v_pause.scope;
        elsif exists (
            select
            from public.media_processing_queue q
            where q.status = 'processing' and q.claimed_at >= v_pause.until -- older work is no probe
        ) then
            return 0;
        else
            return least(p_limit, 1);
        end if;
    end loop;
    return coalesce(p_limit, 0);
end;
$$;

comment on function public.limit_media_claim is
    'How many of p_limit jobs a poller may claim, as storage and the poller itself are paused, on probation or well.';
