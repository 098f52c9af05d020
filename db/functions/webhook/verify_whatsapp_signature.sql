-- Did Meta send these bytes? Answers false, never null, and raises for nothing.

create or replace function public.verify_whatsapp_signature(raw_body bytea, signature text, app_secret text)
returns boolean
language sql
stable
parallel safe
security definer -- clients may not call what it is made of
set search_path = ''
as $$
    select nullif(app_secret, '') is not null and public.equal_in_constant_time(
        convert_to('sha256=' || encode(public.hmac_sha256(raw_body, convert_to(app_secret, 'UTF8')), 'hex'), 'UTF8'),
        convert_to(signature, 'UTF8'));
$$;

comment on function public.verify_whatsapp_signature is
    'Whether signature, the header X-Hub-Signature-256 (sha256= and 64 hex digits), is that of the body''s raw bytes under the app secret. False for null, an empty secret or any other text.';
grant execute on function public.verify_whatsapp_signature to media_client, media_admin;
