-- May an attachment refer to this stored object? As its bytes would be judged.

create or replace function public.judge_stored_object(
    p_object public.media_objects,
    p_media public.media
)
returns table (belongs_elsewhere boolean, code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
declare
    v_format public.media_formats := public.find_media_format(p_object.mime_type);
    v_bucket public.media_buckets := public.route_media_content(p_media.media_type, v_format);
begin
    belongs_elsewhere := v_bucket.is_public <> p_object.is_public;
    if belongs_elsewhere is not true then
        select r.code, r.explanation into code, explanation
        from public.judge_media_content(p_media.media_type, v_format, v_bucket,
            p_object.file_size, p_object.mime_type, p_media.mime_type, p_object.checks) r;
    end if;
    return next;
end;
$$;

comment on function public.judge_stored_object is
    'Whether an attachment''s content belongs in a bucket of the other visibility than the stored object with its bytes; if not, the reason why it may not refer to it, or nulls.';
