-- What was received for an attachment, the bucket it belongs in, and a reason against it, or nulls.
--
-- Bytes that were cut off past the limit have no hash that could be compared.

create or replace function public.judge_received_content(
    p_media public.media,
    p_content_hash text,
    p_file_size bigint,
    p_mime_type text,
    p_checks jsonb
)
returns table (received public.media_objects, bucket public.media_buckets, code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_format public.media_formats := public.tell_media_format(p_mime_type, p_media.mime_type);
    v_media_type text := coalesce(p_media.media_type, v_format.media_type);
begin
    bucket := public.route_media_content(v_media_type, v_format);
    received.content_hash := p_content_hash;
    received.is_public := bucket.is_public;
    received.file_size := p_file_size;
    received.mime_type := v_format.mime_type;
    received.checks := p_checks || jsonb_strip_nulls(jsonb_build_object('declared', p_media.mime_type));
    select r.* into code, explanation
    from public.judge_media_content(
        v_media_type, v_format, bucket, p_file_size, p_mime_type, p_media.mime_type, received.checks) r;
    if p_media.whatsapp_sha256 <> p_content_hash and code is distinct from 'too_large' then
        code := 'hash_mismatch';
        explanation := format('WhatsApp announced SHA-256 %s, the bytes have %s', p_media.whatsapp_sha256, p_content_hash);
    end if;
    return next;
end;
$$;

comment on function public.judge_received_content is
    'What was received for an attachment (content_hash, is_public, file_size, mime_type and checks of an object), the bucket for it, and a reason why it may not be stored: hash_mismatch, or as judge_media_content.';
