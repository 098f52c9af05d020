-- Leave a source alone, by an operator's decision.

create or replace function public.pause_media_source(
    scope text,
    reason text default 'paused by an operator',
    pause_for interval default '1 hour'
)
returns timestamptz
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_earlier public.media_pauses;
    v_until timestamptz;
begin
    if pause_media_source.scope is null
        or not (pause_media_source.scope = 'storage' or pause_media_source.scope ~ '^(whatsapp|poller):.+')
    then
        raise exception 'unknown source %', coalesce(quote_literal(pause_media_source.scope), 'null')
            using errcode = 'MD017', hint = 'Use storage, whatsapp:<phone number id> or poller:<name>.';
    end if;
    if pause_media_source.pause_for is null or pause_media_source.pause_for <= interval '0 seconds' then
        raise exception 'a pause of % is none', coalesce(pause_media_source.pause_for::text, 'null')
            using errcode = 'MD018', hint = 'Use an interval above zero; resume_media_source ends a pause.';
    end if;
    select p.* into v_earlier from public.media_pauses p where p.scope = pause_media_source.scope;
    v_until := (public.extend_media_pause(
        pause_media_source.scope, coalesce(pause_media_source.reason, 'paused by an operator'), 'by an operator',
        pause_media_source.pause_for, pause_media_source.pause_for)).until;
    perform public.log_operator_action('00000000-0000-0000-0000-000000000000', 'source paused', jsonb_build_object(
        'scope', pause_media_source.scope, 'reason', pause_media_source.reason,
        'old', v_earlier.until, 'new', v_until));
    return v_until;
end;
$$;

comment on function public.pause_media_source is
    'Stop claiming jobs of a source (storage, whatsapp:<phone number id>, or poller:<name>) for a time. Returns when it ends. Errors: MD017 unknown source, MD018 not a time to come.';
grant execute on function public.pause_media_source to media_admin;
