-- A job ended without a word of its poller, which was killed or stopped, so that nobody knows whether
-- WhatsApp refused its request. While its number is paused or on probation it has to be assumed, or
-- pollers that keep dying would go on asking with a token that is refused.

create or replace function public.count_unheard_request(p_source text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    if exists (select from public.media_pauses p where p.scope = p_source) then
        perform public.count_media_refusal(p_source);
    end if;
end;
$$;

comment on function public.count_unheard_request is
    'Count a job that ended without a report as a refused request, if its number (whatsapp:<phone number id>) has a pause.';
