-- The door for Meta without any Python: what PostgREST calls for a POST to /rpc/whatsapp_webhook.
--
-- Closed until open_whatsapp_webhook grants it to anon. The one unnamed json argument is the body to
-- the byte, so the signature can be checked, and nothing is done before it has been. It returns the
-- domain "*/*" because its namesake does: PostgREST 12 mixes up overloads that differ in that.
--
-- Supabase gives anon 3 seconds for a statement, which a large chunk of history does not fit into. Postgres
-- would heed the timeout set here only for statements to come; PostgREST sets it before it calls.

create or replace function public.whatsapp_webhook(json)
returns public."*/*"
language plpgsql
volatile
security definer -- anon reads neither the secret nor any other table
set search_path = ''
set statement_timeout = '60s'
as $$
declare
    v_body bytea := convert_to($1::text, 'UTF8');
    v_signature text := current_setting('request.headers', true)::json ->> 'x-hub-signature-256';
    v_most integer := (select s.webhook_max_bytes from public.media_settings s);
begin
    if length(v_body) > v_most then
        return public.refuse_webhook_call(413, 'too_large', format('more than %s bytes', v_most))::public."*/*";
    end if;
    if not public.verify_whatsapp_signature(v_body, v_signature, (select s.app_secret from public.media_secrets s)) then
        return public.refuse_webhook_call(
            403, 'bad_signature', 'the signature does not fit the body')::public."*/*";
    end if;
    perform set_config('response.headers', '[{"Content-Type": "application/json; charset=utf-8"}]', true);
    return convert_to(json_build_object(
        'event_id', public.receive_whatsapp_webhook($1) -> 'event_id')::text, 'UTF8')::public."*/*";
end;
$$;

comment on function public.whatsapp_webhook(json) is
    'A webhook call through PostgREST: checks the size and the signature in request.headers, then answers {"event_id": n}, as JSON in UTF-8: the rest of the summary is not for the caller. HTTP 413 too large, 403 bad signature; both are counted.';
