-- Shut the door that open_whatsapp_webhook opened, also for the upgrades to come.

create or replace function public.close_whatsapp_webhook()
returns void
language plpgsql
volatile
security definer -- operators do not own the functions
set search_path = ''
as $$
begin
    update public.media_secrets s set webhook_open = false where s.webhook_open;
    if to_regrole('anon') is not null then
        revoke execute on function public.whatsapp_webhook(json), public.whatsapp_webhook(text, text, text) from anon;
    end if;
    notify pgrst, 'reload schema';
end;
$$;

comment on function public.close_whatsapp_webhook is
    'Take whatsapp_webhook back from anon, and keep it closed. No error when it was closed already.';
grant execute on function public.close_whatsapp_webhook to media_admin;
