-- Meta verifies the address: what PostgREST calls for GET /rpc/whatsapp_webhook?hub.mode=subscribe…
--
-- Closed until open_whatsapp_webhook grants it to anon. PostgREST takes what comes after the last dot
-- as the argument's name, and sends the domain "*/*" as it is, with the content type set here. A GET may
-- not write there, so what is refused is not counted.

create or replace function public.whatsapp_webhook(mode text, challenge text, verify_token text)
returns public."*/*"
language plpgsql
volatile
security definer -- anon does not read the token
set search_path = ''
as $$
begin
    if whatsapp_webhook.mode is distinct from 'subscribe' or not public.equal_in_constant_time(
        convert_to(whatsapp_webhook.verify_token, 'UTF8'),
        convert_to((select s.verify_token from public.media_secrets s), 'UTF8'))
    then
        raise exception 'the verify token is not ours'
            using errcode = 'PT403', hint = 'It is the one that set_whatsapp_secrets was given.';
    end if;
    perform set_config('response.headers', '[{"Content-Type": "text/plain; charset=utf-8"}]', true);
    return convert_to(whatsapp_webhook.challenge, 'UTF8')::public."*/*";
end;
$$;

comment on function public.whatsapp_webhook(text, text, text) is
    'Meta''s verification of the webhook through PostgREST: the challenge, as plain text. Error: PT403 (HTTP 403) wrong token or mode.';
