-- What was received for an attachment, where it belongs, and a reason against it, or nulls.
--
-- Bytes that were cut off past the limit have no hash that could be compared.

create or replace function public.judge_received_content(
    p_media public.media,
    p_content_hash text,
    p_file_size bigint,
    p_mime_type text,
    p_checks jsonb
)
returns table (is_public boolean, bucket_name text, mime_type text, checks jsonb, code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_format public.media_formats := public.tell_media_format(p_mime_type, p_media.mime_type);
    v_media_type text := coalesce(p_media.media_type, v_format.media_type);
    v_bucket public.media_buckets := public.route_media_content(v_media_type, v_format);
begin
    is_public := v_bucket.is_public;
    bucket_name := v_bucket.bucket_name;
    mime_type := v_format.mime_type;
    checks := p_checks || jsonb_strip_nulls(jsonb_build_object('declared', p_media.mime_type));
    select r.* into code, explanation
    from public.judge_media_content(
        v_media_type, v_format, v_bucket, p_file_size, p_mime_type, p_media.mime_type, checks) r;
    if p_media.whatsapp_sha256 <> p_content_hash and code is distinct from 'too_large' then
        code := 'hash_mismatch';
        explanation := format('WhatsApp announced SHA-256 %s, the bytes have %s', p_media.whatsapp_sha256, p_content_hash);
    end if;
    return next;
end;
$$;

comment on function public.judge_received_content is
    'The bucket and type of bytes that were received for an attachment, p_checks with the type they were declared as, and a reason why they may not be stored: hash_mismatch, or as judge_media_content.';
