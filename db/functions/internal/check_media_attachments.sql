-- Refuse what queue_media_attachments cannot use, naming the element, counted from 1, and the value.

create or replace function public.check_media_attachments(p_attachments jsonb)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    v_known text[] := array[
        'message_id', 'whatsapp_media_id', 'media_type', 'mime_type', 'file_name', 'caption', 'file_size', 'sha256', 'priority'];
    v_element jsonb;
    v_place integer := 0;
    v_one record;
    v_hint text;
begin
    if jsonb_typeof(p_attachments) is distinct from 'array' then
        raise exception 'the attachments are no JSON array, but %', coalesce(jsonb_typeof(p_attachments), 'null')
            using errcode = 'MD029', hint = 'Pass an array of objects, one for each attachment.';
    end if;
    for v_element in select e from jsonb_array_elements(p_attachments) e loop
        v_place := v_place + 1;
        if jsonb_typeof(v_element) <> 'object' then
            raise exception 'it is no JSON object, but %', jsonb_typeof(v_element)
                using errcode = 'MD029', hint = 'Pass an array of objects, one for each attachment.';
        elsif v_element - v_known <> '{}' then
            raise exception 'unknown key %', (select quote_literal(left(min(k), 100)) from jsonb_object_keys(v_element - v_known) k)
                using errcode = 'MD029', hint = format('The keys are %s.', array_to_string(v_known, ', '));
        end if;
        select r.* into v_one
        from jsonb_to_record(v_element) r (
            message_id uuid, whatsapp_media_id text, media_type text, file_size bigint, sha256 text, priority integer);
        perform public.check_media_arguments(
            v_one.whatsapp_media_id, v_one.media_type, v_one.file_size, v_one.sha256,
            case when v_element ? 'priority' then v_one.priority else 5 end);
    end loop;
exception when others then
    if v_place = 0 then
        raise;
    end if;
    get stacked diagnostics v_hint = pg_exception_hint;
    raise exception 'attachment % of %: %', v_place, jsonb_array_length(p_attachments), sqlerrm
        using errcode = sqlstate, hint = v_hint;
end;
$$;

comment on function public.check_media_attachments is
    'Raise MD011 to MD015 or MD029, or what a cast says, for the first element of an array for queue_media_attachments that cannot be used.';
