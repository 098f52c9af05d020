-- Give whatsapp_webhook what it checks calls against. Nobody can read it back.

create or replace function public.set_whatsapp_secrets(app_secret text, verify_token text)
returns void
language plpgsql
volatile
security definer -- no role has rights on the table
set search_path = ''
as $$
declare
    v_space constant text := E' \t\r\n\x0b\f'; -- as pasted secrets have it at their ends
    v_app_secret text := btrim(set_whatsapp_secrets.app_secret, v_space);
    v_verify_token text := btrim(set_whatsapp_secrets.verify_token, v_space);
begin
    if coalesce(v_app_secret, '') = '' or coalesce(v_verify_token, '') = '' then
        raise exception 'a secret is empty'
            using errcode = 'MD052', hint = 'Pass the app secret of the Meta app, and the verify token of the webhook.';
    end if;
    update public.media_secrets s
    set app_secret = v_app_secret, verify_token = v_verify_token
    where s.only_row;
end;
$$;

comment on function public.set_whatsapp_secrets is
    'Set the app secret and the verify token that whatsapp_webhook checks, without the white space around them. Error: MD052 an empty one.';
grant execute on function public.set_whatsapp_secrets to media_admin;
