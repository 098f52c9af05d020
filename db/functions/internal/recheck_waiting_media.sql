-- Is it still right to wait? Not when the content is stored, the leader has gone, or its number is
-- left alone and another one's could lead.

create or replace function public.recheck_waiting_media(p_job public.media_processing_queue)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_object public.media_objects;
    v_leader public.media_processing_queue;
begin
    select o.* into v_object
    from public.media m
    cross join lateral public.find_stored_object(p_job.content_hash, m.media_type) o
    where m.id = p_job.id;
    if v_object.id is not null then
        perform public.link_media_objects(array[p_job.id], array[v_object.id], 'deduplicated');
        return true;
    end if;

    select l.* into v_leader
    from public.media_processing_queue l
    where l.id = p_job.waiting_for and l.status in ('pending', 'processing');
    if v_leader.id is null or v_leader.status = 'pending'
        and public.is_source_paused(v_leader.source)
        and not public.is_source_paused(p_job.source)
    then
        perform public.free_waiting_media(p_job.waiting_for);
        return true;
    end if;

    perform public.raise_media_priority(v_leader.id, p_job.priority);
    update public.media_processing_queue q
    set due_at = now() + (select s.waiting_recheck from public.media_settings s)
    where q.id = p_job.id and q.status = 'waiting';
    return false;
end;
$$;

comment on function public.recheck_waiting_media is
    'Look after a locked row whose time to wait is over: link it to content that is stored, free those who wait for a leader that is gone or whose number is paused, or let it wait on. Returns whether its wait is over.';
