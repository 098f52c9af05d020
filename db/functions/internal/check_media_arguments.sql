-- Refuse what queue_media_processing cannot use, naming the value.

create or replace function public.check_media_arguments(
    p_whatsapp_media_id text,
    p_media_type text,
    p_file_size bigint,
    p_sha256 text,
    p_priority integer
)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
    if p_media_type is not null and not exists (
        select from public.media_buckets b where p_media_type = any (b.media_types)
    ) then
        raise exception 'unknown media type %', quote_literal(left(p_media_type, 100))
            using errcode = 'MD011', hint = format('Use one of %s, or null to let the content decide.', (
                select string_agg(t, ', ' order by t)
                from public.media_buckets b
                cross join unnest(b.media_types) t));
    end if;
    if p_priority is null or p_priority not between 1 and 10 then
        raise exception 'priority % is outside 1 to 10', coalesce(p_priority::text, 'null')
            using errcode = 'MD012', hint = '1 goes first; 5 is the default.';
    end if;
    if p_sha256 is not null and public.normalize_media_hash(p_sha256) is null then
        raise exception 'sha256 % is neither 64 hex digits nor 44 characters of base64', quote_literal(left(p_sha256, 100))
            using errcode = 'MD013', hint = 'Pass it as WhatsApp sent it, or null when it is not known.';
    end if;
    if p_whatsapp_media_id is null or p_whatsapp_media_id !~ '\S' then
        raise exception 'the media id is empty: %', coalesce(quote_literal(p_whatsapp_media_id), 'null')
            using errcode = 'MD014', hint = 'Pass the id of the media object in the webhook.';
    end if;
    if length(p_whatsapp_media_id) > 500 then
        raise exception 'the media id has % characters: %…', length(p_whatsapp_media_id), left(p_whatsapp_media_id, 50)
            using errcode = 'MD014', hint = 'A WhatsApp media id has some 15 digits; 500 characters is the most.';
    end if;
    if p_file_size < 0 then
        raise exception 'file size % is negative', p_file_size
            using errcode = 'MD015', hint = 'Pass bytes, or null when the size is not known.';
    end if;
end;
$$;

comment on function public.check_media_arguments is
    'Raise MD011 to MD015 for an argument of queue_media_processing that cannot be used.';
