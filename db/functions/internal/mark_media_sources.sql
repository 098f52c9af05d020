-- Remember where the pending jobs of these sources begin, so that the next claims need not read again
-- what has gone before them: an old snapshot, somewhere in this server, keeps vacuum from removing it.
--
-- Only ever a hint. What comes to an earlier place later, as a job that is given back or the row of a
-- transaction that commits late, is found when the mark ends, within half a minute. The last seconds are
-- left out of it, so that what is queued just now is not late.

create or replace function public.mark_media_sources(p_sources text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_sources m
    set
        due_from = array(
            select least(now() - interval '2 seconds', (
                select q.due_at
                from public.media_processing_queue q
                where q.source = m.source and q.status = 'pending' and q.priority = p.priority
                    and q.due_at >= public.get_due_from(m, p.priority)
                order by q.due_at
                limit 1))
            from generate_series(1, 10) p (priority)
            order by p.priority),
        due_from_until = case when m.due_from_until > now() then m.due_from_until else now() + interval '30 seconds' end
    where m.source = any (p_sources);
end;
$$;

comment on function public.mark_media_sources is
    'Set due_from of these sources to where their pending jobs begin, for half a minute, or what is left of it.';
