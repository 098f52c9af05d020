-- Second verdict: the bytes are here, hashed and looked at; may they be stored, and where? A group of
-- one: see begin_media_uploads.

create or replace function public.begin_media_upload(
    p_id uuid,
    p_poller text,
    p_token integer,
    p_content_hash text,
    p_file_size bigint,
    p_mime_type text,
    p_checks jsonb default null
)
returns table (
    verdict text,
    reason text,
    object_id uuid,
    bucket_name text,
    storage_path text,
    content_type text,
    cache_control text,
    stored_hash text,
    encoding jsonb
)
language plpgsql
volatile
security definer -- the poller has no rights on the tables
set search_path = ''
as $$
begin
    return query
    select b.verdict, b.reason, b.object_id, b.bucket_name, b.storage_path, b.content_type, b.cache_control, b.stored_hash, b.encoding
    from public.begin_media_uploads(
        p_poller, array[p_id], array[p_token], array[p_content_hash], array[p_file_size], array[p_mime_type], array[p_checks]) b;
end;
$$;

comment on function public.begin_media_upload is
    'Verdict on received bytes: upload (the received bytes, to this bucket and path, with these headers), encode (do to them what encoding says, see plan_media_encoding, and call settle_media_encoding), deduplicated, joined, rejected (dead letter, with the reason), quarantine (rejected; first put the bytes there, and call settle_media_quarantine) or retry (hash mismatch). p_content_hash: SHA-256 hex; p_file_size: bytes; p_mime_type: detected from the bytes; p_checks: all that the content check found, kept with the object and in the audit trail. Error: MD001 lease lost.';
grant execute on function public.begin_media_upload to media_poller;
