-- Every attachment of a message, in the order they were queued.

create or replace function public.get_media_by_message(message_id uuid)
returns table (
    id uuid,
    whatsapp_media_id text,
    media_type text,
    mime_type text,
    file_name text,
    caption text,
    file_size bigint,
    content_hash text,
    status text,
    bucket_name text,
    storage_path text,
    public_url text,
    processed_at timestamptz,
    failure_code text,
    failure_text text
)
language sql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
    select m.id, m.whatsapp_media_id::text, m.media_type::text, m.mime_type::text, m.file_name::text,
        m.caption::text, m.file_size::bigint, m.content_hash::text,
        public.media_state(m.processed, q.status, m.failure_code),
        m.bucket_name::text, m.storage_path::text, m.public_url::text, m.processed_at,
        m.failure_code::text, m.failure_text::text
    from public.media m
    left join public.media_processing_queue q on q.id = m.id
    where m.message_id = get_media_by_message.message_id
    order by m.created_at, m.id;
$$;

comment on function public.get_media_by_message is
    'The attachments of a message (messages.id) with where each is stored or why not; no row for a message without media. file_size in bytes, content_hash SHA-256 in hex.';
grant execute on function public.get_media_by_message to media_client, media_admin;
