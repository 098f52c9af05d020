-- Reservations whose leader is no longer in the queue, or a dead letter: nobody will upload them.
-- Normally taken back when the leader ends; this is for what a restored backup or plain SQL left.

create or replace function public.drop_orphan_reservations(p_limit integer default 1000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_leader uuid;
    v_count integer := 0;
begin
    for v_leader in
        select o.leader_id
        from public.media_objects o
        where o.leader_id is not null
            and not exists (
                select
                from public.media_processing_queue q
                where q.id = o.leader_id and q.status not in ('failed', 'cancelled'))
        limit p_limit
        for update of o skip locked
    loop
        perform public.drop_media_reservations(v_leader);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;

comment on function public.drop_orphan_reservations is
    'Take back reservations whose leader has no work any more, and queue for removal what it may have uploaded; returns how many.';
