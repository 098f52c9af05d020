-- A failure that was reported after the lease was lost: fail_media_job has refused it. When WhatsApp
-- refused a request, it has counted that for the number all the same, and so it is counted here.

create or replace function public.note_late_failure(
    p_source text,
    p_phone_number_id text,
    p_http_status integer
)
returns void
language sql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
    select public.count_media_refusal('whatsapp:' || coalesce(p_phone_number_id, 'default'))
    where public.is_media_refusal(p_source, p_http_status);
$$;

comment on function public.note_late_failure is
    'Count a request that WhatsApp refused after the lease of its job was lost. p_source: as in fail_media_job. p_phone_number_id: as claim_media_jobs gave it, null for the default number.';
grant execute on function public.note_late_failure to media_poller;
