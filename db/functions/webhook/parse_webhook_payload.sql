-- A webhook call as jsonb, whatever JSON it is.
--
-- jsonb has no NUL and no half of a surrogate pair: both become U+FFFD. Once every escaped backslash
-- is written \u005c, each backslash left begins an escape. Whole pairs are set apart with U+0001, which
-- JSON text never has, so that what is left are halves: no pattern looks around, and the time is linear.
-- What jsonb cannot hold even so (a number past all bounds, a nesting past the stack) is null here, and
-- stays in the event.

create or replace function public.parse_webhook_payload(p_payload json)
returns jsonb
language plpgsql
immutable
strict
set search_path = ''
as $$
declare
    v_text text;
begin
    begin
        return p_payload::jsonb;
    exception when data_exception or program_limit_exceeded then
        v_text := replace(p_payload::text, '\\', '\u005c');
    end;
    v_text := replace(v_text, '\u0000', '\ufffd');
    v_text := regexp_replace(
        v_text, '\\u([dD][89abAB][[:xdigit:]]{2})\\u([dD][c-fC-F][[:xdigit:]]{2})', E'\x01\\1\\2', 'g');
    v_text := regexp_replace(v_text, '\\u[dD][89a-fA-F][[:xdigit:]]{2}', '\\ufffd', 'g');
    v_text := regexp_replace(v_text, E'\x01(.{4})(.{4})', '\\u\1\\u\2', 'g');
    return v_text::jsonb;
exception when data_exception or program_limit_exceeded then
    return null;
end;
$$;

comment on function public.parse_webhook_payload is
    'A webhook call as jsonb, with U+FFFD for what jsonb has no character for; null for what it cannot hold at all.';
