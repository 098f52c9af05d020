-- A call was refused before anything of it could be stored: count it, by day and reason.

create or replace function public.count_webhook_refusal(reason text)
returns void
language sql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
set lock_timeout = '3s' -- as in receive_whatsapp_webhook
as $$
    insert into public.whatsapp_webhook_refusals as r (date, reason, refusals)
    values ((now() at time zone 'utc')::date, left(count_webhook_refusal.reason, 100), 1)
    on conflict (date, reason) do update set refusals = r.refusals + 1;
$$;

comment on function public.count_webhook_refusal is
    'Count a webhook call whose body was refused, such as not_json.';
grant execute on function public.count_webhook_refusal to media_client, media_admin;
