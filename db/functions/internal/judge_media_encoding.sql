-- Is encoded content fit to be stored in the place of what was received? The reason why not, or null.
--
-- The result is judged by its bytes, as everything that is stored.

create or replace function public.judge_media_encoding(
    p_object public.media_objects,
    p_bucket public.media_buckets,
    p_media_type text,
    p_encoding jsonb,
    p_size bigint,
    p_checks jsonb
)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
    v_format public.media_formats;
    v_refusal record;
begin
    select f.* into v_format from public.find_media_format(p_checks ->> 'mime_type') f;
    select r.* into v_refusal
    from public.judge_media_content(
        p_media_type, v_format, p_bucket, p_size, p_checks ->> 'mime_type', null, p_checks) r;
    return case
        when p_size is null or p_checks is null then 'there is no result'
        when v_refusal.code is not null then concat_ws(': ', v_refusal.code, v_refusal.explanation)
        when p_encoding ? 'codec' and p_size > 0.9 * p_object.file_size
            then format('%s of %s bytes are not 10 %% less', p_size, p_object.file_size)
        when (p_encoding ->> 'drop_metadata')::boolean and p_checks ? 'metadata'
            then format('there still is metadata in it: %s', p_checks -> 'metadata')
        when not p_encoding ? 'codec' and (v_format.mime_type, p_checks -> 'width', p_checks -> 'height')
            is distinct from (p_object.mime_type, p_object.checks -> 'width', p_object.checks -> 'height')
            then 'it is another image'
        when not p_encoding ? 'codec' and p_checks -> 'frames' is distinct from p_object.checks -> 'frames'
            and not p_object.checks -> 'metadata' ? 'further images' -- a camera's, which go
            then 'it has other frames'
    end;
end;
$$;

comment on function public.judge_media_encoding is
    'Why encoded content of this size (bytes), in which the content check found p_checks, is not stored in the place of what the object received; null when it is.';
