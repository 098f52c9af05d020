-- A call was refused before anything of it could be stored: count it, by day and reason.

create or replace function public.count_webhook_refusal(reason text)
returns void
language plpgsql
volatile
security definer -- clients have no rights on the tables
set search_path = ''
set lock_timeout = '3s' -- as in receive_whatsapp_webhook
as $$
begin
    if count_webhook_refusal.reason in ('bad_signature', 'not_json', 'other', 'too_deep', 'too_large') then
        insert into public.whatsapp_webhook_refusals as r (date, reason, refusals)
        values ((now() at time zone 'utc')::date, count_webhook_refusal.reason, 1)
        on conflict on constraint whatsapp_webhook_refusals_pkey do update set refusals = r.refusals + 1;
    else
        raise exception 'unknown reason of a refusal: %',
            coalesce(quote_literal(left(count_webhook_refusal.reason, 100)), 'null')
            using errcode = 'MD054', hint = 'One of bad_signature, not_json, too_deep, too_large, other.';
    end if;
end;
$$;

comment on function public.count_webhook_refusal is
    'Count a webhook call that was refused, for a door of your own: reason bad_signature, not_json, too_deep, too_large or other. Errors: MD054 another reason, 55P03 when a lock is not to be had within 3 seconds.';
grant execute on function public.count_webhook_refusal to media_client, media_admin;
