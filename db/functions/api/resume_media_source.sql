-- Lift a pause at once. One job goes first, as after every pause; when the source works, all follow.

create or replace function public.resume_media_source(scope text)
returns boolean
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_found boolean;
    v_earlier public.media_pauses;
begin
    select p.* into v_earlier from public.media_pauses p where p.scope = resume_media_source.scope for update;
    update public.media_pauses p
    set until = least(p.until, now())
    where p.scope = resume_media_source.scope;
    v_found := found;
    if v_found then
        perform public.log_operator_action('00000000-0000-0000-0000-000000000000', 'source resumed', jsonb_build_object(
            'scope', resume_media_source.scope, 'reason', v_earlier.reason, 'old', v_earlier.until, 'new', now()));
    end if;
    update public.media_processing_queue q
    set due_at = now()
    where q.status = 'pending'
        and q.due_at > now()
        and resume_media_source.scope in ('storage', q.source)
        and q.last_error_code in (select r.failure_code from public.media_failure_rules r where r.action = 'pause');
    update public.media_sources m set refused_at = '{}', denied_at = null where m.source = resume_media_source.scope;
    delete from public.media_unheard_requests u
    where (u.media_id, u.fencing_token) in (
        select x.media_id, x.fencing_token
        from public.media_unheard_requests x
        where x.source = resume_media_source.scope
        for update skip locked); -- those are being forgiven
    perform public.wake_media_pollers();
    return v_found;
end;
$$;

comment on function public.resume_media_source is
    'Lift the pause of a source (storage, whatsapp:<phone number id> or poller:<name>) at once and forget its refused and unheard requests. Returns false when it was neither paused nor still to be proven by a probe.';
grant execute on function public.resume_media_source to media_admin;
