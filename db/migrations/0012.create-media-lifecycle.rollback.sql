-- squawk-ignore-file ban-drop-table, ban-drop-column, require-concurrent-index-deletion
-- The column of media goes unless it was there before.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings
    drop column audit_kept,
    drop column dead_letters_kept,
    drop column cleanup_days,
    drop column cleanup_keep_accessed_days,
    drop column cleanup_at;
drop table public.media_holds, public.media_accesses, public.media_maintenance;
drop index if exists public.pgmedia_media_age_idx;

do $$
begin
    if not exists (
        select
        from public.media_adopted_tables a
        where a.table_name = 'media' and 'message_sent_at' <> all (a.added_columns)
    ) then
        alter table public.media drop column message_sent_at;
        update public.media_adopted_tables a
        set added_columns = array_remove(a.added_columns, 'message_sent_at')
        where a.table_name = 'media';
    end if;
end $$;
