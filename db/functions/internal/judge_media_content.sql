-- May this content be stored as this media type? One row: a reason against it, or nulls.

create or replace function public.judge_media_content(
    p_media_type text,
    p_format public.media_formats,
    p_bucket public.media_buckets,
    p_file_size bigint,
    p_mime_type text
)
returns table (code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
begin
    if p_file_size > coalesce((p_bucket).file_size_limit, (select max(b.file_size_limit) from public.media_buckets b)) then
        code := 'too_large'; -- a download is cut off past the limit, so nothing else about it is known
        explanation := format('more than %s bytes received', p_file_size - 1);
    elsif p_file_size = 0 then
        code := 'empty_file';
        explanation := 'the file has no bytes';
    elsif (p_format).mime_type is null then
        code := 'type_not_allowed';
        explanation := format('the bytes are %s', coalesce(p_mime_type, 'of no known type'));
    elsif p_media_type <> all ((p_format).arrives_as) then
        code := 'type_mismatch';
        explanation := format('sent as %s, but the bytes are %s', p_media_type, (p_format).mime_type);
    end if;
    return next;
end;
$$;

comment on function public.judge_media_content is
    'The reason why content may not be stored as a media type (empty_file, type_not_allowed, type_mismatch, too_large), or nulls.';
