-- May this content be stored as this media type? One row: a reason against it, or nulls.

create or replace function public.judge_media_content(
    p_media_type text,
    p_format public.media_formats,
    p_bucket public.media_buckets,
    p_file_size bigint,
    p_mime_type text,
    p_declared text default null,
    p_checks jsonb default null
)
returns table (code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
declare
    v_found record;
begin
    if p_file_size > public.get_size_limit(p_bucket) then
        code := 'too_large'; -- a download is cut off past the limit, so nothing else about it is known
        explanation := format('more than %s bytes received', p_file_size - 1);
        return next;
        return;
    elsif p_file_size = 0 then
        code := 'empty_file';
        explanation := 'the file has no bytes';
        return next;
        return;
    end if;
    select r.code, r.explanation into v_found
    from public.find_content_refusal(coalesce((p_format).mime_type, p_mime_type), p_checks) r;
    if (p_format).mime_type is null and v_found.code is null then
        code := 'type_not_allowed';
        explanation := format('the bytes are %s', coalesce(p_mime_type, 'of no known type'));
    elsif p_media_type <> all ((p_format).arrives_as) then
        code := 'type_mismatch';
        explanation := format('sent as %s, but the bytes are %s', p_media_type, (p_format).mime_type);
    elsif not public.may_be_declared_as(p_format, p_declared) then
        code := 'type_mismatch';
        explanation := format('declared as %s, but the bytes are %s', p_declared, (p_format).mime_type);
    else
        code := v_found.code;
        explanation := v_found.explanation;
    end if;
    return next;
end;
$$;

comment on function public.judge_media_content is
    'The reason why content may not be stored as a media type (empty_file, too_large, type_not_allowed, type_mismatch, too_many_pixels, or the code of a row of media_content_rules), or nulls. p_declared: the type that WhatsApp announced; p_checks: what the content check found.';
