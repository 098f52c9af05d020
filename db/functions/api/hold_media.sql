-- Keep an attachment from every deletion, until released. Held again, the new reason counts.
--
-- The lock waits for whoever is deleting the row right now; what is deleted cannot be held.

create or replace function public.hold_media(id uuid, reason text)
returns void
language plpgsql
volatile
security definer -- operators have no rights on the tables
set search_path = ''
as $$
#variable_conflict use_column
begin
    if coalesce(btrim(hold_media.reason), '') = '' then
        raise exception 'a hold needs a reason, not %', quote_nullable(hold_media.reason)
            using errcode = 'MD024', hint = 'Say why this attachment must stay, for whoever finds it held.';
    end if;
    perform
    from public.media m
    where m.id = hold_media.id
    for key share;
    if not found then
        raise exception 'no media with id %', hold_media.id
            using errcode = 'MD016', hint = 'queue_media_processing returned the id, get_media_by_message(message_id) lists those of a message; a deleted one still has its audit trail.';
    end if;
    insert into public.media_holds as h (media_id, reason)
    values (hold_media.id, hold_media.reason)
    on conflict (media_id) do update
    set reason = excluded.reason, held_by = excluded.held_by, held_at = excluded.held_at;
end;
$$;

comment on function public.hold_media is
    'Legal hold: neither cleanup_old_media nor delete_media nor plain SQL deletes this attachment, its message or its file until release_media_hold. Errors: MD016 unknown media, MD024 no reason.';
grant execute on function public.hold_media to media_admin;
