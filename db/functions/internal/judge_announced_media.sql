-- A file as it is announced, its bytes not known: whether it seems to belong in a public bucket, how many bytes
-- it may have, and a reason against it, or nulls.

create or replace function public.judge_announced_media(p_media public.media, p_mime_type text, p_file_size bigint)
returns table (is_public boolean, max_bytes bigint, code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
declare
    v_format public.media_formats := public.find_media_format(coalesce(p_mime_type, p_media.mime_type));
    v_bucket public.media_buckets := public.route_media_content(p_media.media_type, v_format);
begin
    is_public := v_bucket.is_public;
    max_bytes := public.get_size_limit(v_bucket);
    if p_file_size > max_bytes then
        code := 'too_large';
        explanation := format('%s bytes announced, %s allowed', p_file_size, max_bytes);
    elsif p_media.mime_type <> 'application/octet-stream' and v_format.mime_type is null then
        code := 'type_not_allowed';
        explanation := format('announced as %s', p_media.mime_type);
    end if;
    return next;
end;
$$;

comment on function public.judge_announced_media is
    'Whether the bucket for a file that is announced so is public (null: there is none yet), the most bytes it may have, and a reason why it is not fetched (too_large, type_not_allowed), or nulls. p_mime_type and p_file_size: what the media endpoint said, nulls when it was not asked.';
