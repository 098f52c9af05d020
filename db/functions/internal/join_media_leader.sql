-- Another attachment fetches this content: wait for it, with all who waited for this one.

create or replace function public.join_media_leader(
    p_job public.media_processing_queue,
    p_object public.media_objects
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
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
end;
$$;

comment on function public.join_media_leader is
    'Let a claimed job wait for the leader of a reservation; its attempt is not spent.';
