-- Who fetches a content? Answers 'lead' (this attachment does), 'deduplicated' (it is stored, and
-- this attachment now refers to it) or 'joined' (another one is at it, and this one waits).

create or replace function public.settle_media_content(
    p_job public.media_processing_queue,
    p_object public.media_objects
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
begin
    if p_object.state = 'stored' then
        perform public.link_media_objects(array[p_job.id], array[p_object.id], 'deduplicated', p_poller => p_job.claimed_by);
        perform public.end_media_leads(array[p_job.id]);
        return 'deduplicated';
    end if;
    if p_object.leader_id = p_job.id then
        return 'lead';
    end if;
    update public.media_processing_queue q
    set
        status = 'waiting',
        waiting_for = p_object.leader_id,
        content_hash = p_object.content_hash,
        due_at = now() + (select s.waiting_recheck from public.media_settings s),
        attempts = q.attempts - 1,
        claimed_by = null,
        lease_until = null
    where q.id = p_job.id;
    update public.media_processing_queue q
    set waiting_for = p_object.leader_id
    where q.waiting_for = p_job.id and q.status = 'waiting';
    perform public.raise_media_priority(p_object.leader_id, p_job.priority);
    perform public.drop_media_reservations(p_job.id);
    perform public.log_media_event(p_job.id, 'joined',
        jsonb_build_object('waiting_for', p_object.leader_id), p_job.claimed_by, p_job.attempts);
    return 'joined';
end;
$$;

comment on function public.settle_media_content is
    'Decide who fetches a content, and link or join this attachment accordingly: lead, deduplicated or joined.';
