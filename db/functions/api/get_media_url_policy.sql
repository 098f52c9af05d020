-- How a stored file is to be handed out: everything about its URL but the signature, which is Storage's.

create or replace function public.get_media_url_policy(
    id uuid,
    expires_in interval default null,
    download boolean default false
)
returns table (
    media_id uuid,
    bucket_name text,
    storage_path text,
    public_url text,
    expires_seconds integer,
    attachment_name text
)
language plpgsql
stable
security definer -- clients have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_media public.media;
    v_object public.media_objects;
    v_problem text;
    v_settings public.media_settings;
    v_expires interval;
begin
    select m.* into v_media from public.media m where m.id = get_media_url_policy.id;
    if not found then
        raise exception '%', coalesce((
                select format('media %s was deleted at %s UTC', get_media_url_policy.id,
                    to_char(max(l.at) at time zone 'utc', 'YYYY-MM-DD HH24:MI'))
                from public.media_audit_log l
                where l.media_id = get_media_url_policy.id and l.event = 'deleted'
                having max(l.at) is not null),
                format('no media with id %s', coalesce(get_media_url_policy.id::text, 'null')))
            using errcode = 'MD016', hint = 'queue_media_processing returned the id, get_media_by_message(message_id) lists those of a message; a deleted one still has its audit trail.';
    end if;
    select o.* into v_object from public.media_objects o where o.id = v_media.object_id and o.state = 'stored';
    if not found then
        select concat_ws(', ', public.media_state(v_media.processed, q.status, v_media.failure_code),
            case when v_media.processed then 'but not by pgmedia' end,
            coalesce(v_media.failure_code, q.last_error_code) || coalesce(
                format(' (%s)', coalesce(v_media.failure_text, q.last_error_text)), '')) into v_problem
        from (select) always
        left join public.media_processing_queue q on q.id = get_media_url_policy.id;
        raise exception 'media % is not stored: its status is %', get_media_url_policy.id, v_problem
            using errcode = 'MD019', hint = 'See get_media_status for what comes next; retry_media queues a failed one again.';
    end if;

    select s.* into v_settings from public.media_settings s;
    v_expires := coalesce(get_media_url_policy.expires_in, v_settings.url_expires);
    if v_expires < '1 second' or v_expires > v_settings.url_expires_most then
        raise exception 'a URL cannot expire in %: it must be between 00:00:01 and %',
            v_expires, v_settings.url_expires_most
            using errcode = 'MD020', hint = 'media_settings.url_expires_most is the bound.';
    end if;
    return query
    select v_media.id, v_object.bucket_name, v_object.storage_path, u.url,
        case when u.url is null then floor(extract(epoch from v_expires))::integer end,
        public.media_attachment_name(v_object, v_media.id, v_media.file_name, coalesce(get_media_url_policy.download, false))
    from public.media_public_url(
        v_object, v_media.id, v_media.file_name, coalesce(get_media_url_policy.download, false)) u (url);
end;
$$;

comment on function public.get_media_url_policy is
    'How to hand out a stored file. public_url, when not null, is all there is to it and does not expire; else Storage is to sign bucket_name and storage_path for expires_seconds (by default media_settings.url_expires). attachment_name: the file is to be served as an attachment of this name, which download asks for even where a browser may show the file; null: inline. Errors: MD016 unknown media id, MD019 not stored (says why), MD020 expires_in not between a second and media_settings.url_expires_most.';
grant execute on function public.get_media_url_policy to media_client, media_admin;
