-- The leader is gone, or its number is left alone: one of those who waited becomes pending, as urgent
-- as the most urgent, and the others wait for that one. One whose own number is paused comes last.
--
-- Rows another transaction works on are skipped: two that free the same rows would wait for each
-- other. Who is skipped finds out at its next recheck.

create or replace function public.free_waiting_media(p_leader_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_next uuid;
begin
    if not exists (
        select from public.media_processing_queue q where q.waiting_for = p_leader_id and q.status = 'waiting'
    ) then
        return;
    end if;
    update public.media_processing_queue q
    set
        status = 'pending', waiting_for = null, due_at = now(),
        priority = least(q.priority, (
            select min(w.priority)
            from public.media_processing_queue w
            where w.waiting_for = p_leader_id and w.status = 'waiting'))
    where q.id = (
        select w.id
        from public.media_processing_queue w
        where w.waiting_for = p_leader_id and w.status = 'waiting'
        order by
            exists (select from public.media_pauses p where p.scope = w.source and p.until > now()),
            w.priority, w.queued_at, w.id
        limit 1
        for update skip locked
    )
    returning q.id into v_next;
    if found then
        update public.media_processing_queue q
        set waiting_for = v_next
        where q.id in (
            select w.id
            from public.media_processing_queue w
            where w.waiting_for = p_leader_id and w.status = 'waiting'
            for update skip locked
        );
        perform public.log_media_event(v_next, 'freed', jsonb_build_object('waited_for', p_leader_id));
        perform public.wake_media_pollers();
    end if;
end;
$$;

comment on function public.free_waiting_media is
    'After the end of a leader without a stored file, or while its number is paused: the next in line leads, the others wait for it.';
