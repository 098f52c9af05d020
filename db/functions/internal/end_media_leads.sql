-- These attachments fetch nothing more for anybody: who still waits for one is freed, and what one has
-- reserved is taken back.

create or replace function public.end_media_leads(p_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_leader uuid;
begin
    for v_leader in
        select distinct q.waiting_for
        from public.media_processing_queue q
        where q.waiting_for = any (p_ids) and q.status = 'waiting'
        order by q.waiting_for
    loop
        perform public.free_waiting_media(v_leader);
    end loop;
    for v_leader in
        select distinct o.leader_id
        from public.media_objects o
        where o.leader_id = any (p_ids)
        order by o.leader_id
    loop
        perform public.drop_media_reservations(v_leader);
    end loop;
end;
$$;

comment on function public.end_media_leads is
    'Free those who wait for these attachments, and take back what they have reserved.';
