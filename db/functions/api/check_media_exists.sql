-- Is this content stored? At most two rows: one public, one private.

create or replace function public.check_media_exists(content_hash text)
returns table (
    object_id uuid,
    bucket_name text,
    storage_path text,
    public_url text,
    mime_type text,
    file_size bigint,
    stored_at timestamptz
)
language plpgsql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_hash text := public.normalize_media_hash(check_media_exists.content_hash);
begin
    if v_hash is null then
        raise exception 'sha256 % is neither 64 hex digits nor 44 characters of base64',
            coalesce(quote_literal(left(check_media_exists.content_hash, 100)), 'null')
            using errcode = 'MD013', hint = 'Pass the SHA-256 of the received bytes.';
    end if;
    return query
    select o.id, o.bucket_name, o.storage_path,
        public.media_public_url(o, o.id, null), coalesce(o.stored_type, o.mime_type), o.stored_size, o.stored_at
    from public.media_objects o
    where o.content_hash = v_hash and o.state = 'stored'
    order by o.is_public desc;
end;
$$;

comment on function public.check_media_exists is
    'The stored objects with this SHA-256 (hex or base64): none, one, or a public and a private one. mime_type and file_size (bytes) are those of the file in storage. Error: MD013 not a SHA-256.';
grant execute on function public.check_media_exists to media_client, media_admin;
