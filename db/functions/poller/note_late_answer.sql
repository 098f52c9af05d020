-- An answer that came after the lease was lost: the database has refused what the poller made of it. A
-- refusal counts for the number all the same; and nobody need wonder any more what the answer was.

create or replace function public.note_late_answer(
    p_id uuid,
    p_token integer,
    p_phone_number_id text,
    p_source text default null,
    p_provider_code text default null,
    p_http_status integer default null
)
returns void
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
declare
    v_rule public.media_failure_rules := public.find_failure_rule(p_source, p_provider_code, p_http_status);
begin
    if p_source = 'poller' and p_provider_code is null then -- it does not know what happened
        return;
    end if;
    delete from public.media_unheard_requests u where u.media_id = p_id and u.fencing_token = p_token;
    if not found and not exists (
        select from public.media_processing_queue q where q.id = p_id and q.fencing_token > p_token
    ) then
        return; -- the report was heard, but its answer was not: it has been counted
    end if;
    if public.is_media_refusal(p_http_status, v_rule) then
        perform public.count_media_refusal(
            'whatsapp:' || coalesce(p_phone_number_id, 'default'), v_rule.action = 'pause');
    end if;
end;
$$;

comment on function public.note_late_answer is
    'Tell what was heard after the lease of a job was lost: the failure, as fail_media_job takes it, or none, when no request of the attempt failed. p_phone_number_id: as claim_media_jobs gave it, null for the default number.';
grant execute on function public.note_late_answer to media_poller;
