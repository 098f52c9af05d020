-- Let Meta in through PostgREST: anon may call whatsapp_webhook, and nothing else.
--
-- Remembered in media_secrets, because every upgrade closes all functions and then calls this again.

create or replace function public.open_whatsapp_webhook()
returns void
language plpgsql
volatile
security definer -- operators do not own the functions
set search_path = ''
as $$
begin
    if to_regrole('anon') is null then
        raise exception 'there is no role anon'
            using errcode = 'MD053', hint = 'Create it, or use `pgmedia webhook` where there is no PostgREST.';
    end if;
    if exists (select from public.media_secrets s where s.app_secret is null) then
        raise exception 'the webhook has no secrets'
            using errcode = 'MD053', hint = 'Call set_whatsapp_secrets first.';
    end if;
    update public.media_secrets s set webhook_open = true where not s.webhook_open;
    grant execute on function public.whatsapp_webhook(json), public.whatsapp_webhook(text, text, text) to anon;
    notify pgrst, 'reload schema';
end;
$$;

comment on function public.open_whatsapp_webhook is
    'Grant whatsapp_webhook to anon, so that Meta can call it through PostgREST; upgrades keep it open. Error: MD053 no role anon, or no secrets set.';
grant execute on function public.open_whatsapp_webhook to media_admin;
