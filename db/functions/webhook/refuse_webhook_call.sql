-- Answer a call of PostgREST with an HTTP status and without an error: an error would take the count back.
--
-- Anybody can make calls that are refused, so their transaction does not wait for the disk: a crash may
-- lose the last counts, and the row they share is held as briefly as possible.

create or replace function public.refuse_webhook_call(p_status integer, p_reason text, p_text text)
returns bytea
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    perform set_config('response.status', p_status::text, true);
    perform set_config('response.headers', '[{"Content-Type": "text/plain; charset=utf-8"}]', true);
    perform public.count_webhook_refusal(p_reason);
    return convert_to(p_text, 'UTF8');
end;
$$;

comment on function public.refuse_webhook_call is
    'Count a refused call under p_reason, and let PostgREST answer p_status with p_text as plain text.';
